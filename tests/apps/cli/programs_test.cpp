// What every program answers.

#include <gtest/gtest.h>

#include "tests/apps/program.h"

namespace tdds::test {
namespace {

TEST(ProgramsTest, AllAnswerVersionAndHelp) {
  for (const std::string program :
       {"tdds-train", "tdds-score", "tdds-train-subset", "tdds-sweep", "tdds-report"}) {
    const Outcome version = run_tool(program, {"--version"}), help = run_tool(program, {"--help"});
    EXPECT_EQ(version.exit_code, 0) << version.err;
    EXPECT_EQ(version.out.find(program + " "), 0u) << version.out;
    EXPECT_EQ(version.out.find('\n'), version.out.size() - 1) << version.out;
    EXPECT_EQ(help.exit_code, 0) << help.err;
    EXPECT_NE(help.out.find("--version"), std::string::npos) << help.out;
    EXPECT_EQ(version.err + help.err, "");
  }
}

}  // namespace
}  // namespace tdds::test
