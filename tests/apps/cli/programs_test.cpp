// Flags that every program answers.

#include <gtest/gtest.h>

#include "tests/apps/program.h"

namespace tdds::test {
namespace {

const std::vector<std::string> kPrograms{"tdds-train", "tdds-score", "tdds-train-subset", "tdds-sweep",
                                         "tdds-report"};

TEST(ProgramsTest, AllAnswerVersionAndHelp) {
  for (const std::string& program : kPrograms) {
    const Outcome version = run_tool(program, {"--version"});
    EXPECT_EQ(version.exit_code, 0) << version.err;
    EXPECT_EQ(version.out.find(program + " "), 0u) << version.out;
    EXPECT_EQ(version.out.find('\n'), version.out.size() - 1) << version.out;
    EXPECT_EQ(version.err, "");
    for (const char* flag : {"--help", "--help-all"}) {
      const Outcome help = run_tool(program, {flag});
      EXPECT_EQ(help.exit_code, 0) << help.err;
      EXPECT_NE(help.out.find("--version"), std::string::npos) << help.out;
      EXPECT_EQ(help.err, "");
    }
  }
}

// --help is for a terminal: at most 80 columns, and two screens of 40 lines.
TEST(ProgramsTest, HelpFitsATerminal) {
  for (const std::string& program : kPrograms) {
    const std::string help = run_tool(program, {"--help"}).out;
    EXPECT_LE(std::count(help.begin(), help.end(), '\n'), 80) << program;
    std::istringstream lines(help + run_tool(program, {"--help-all"}).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << program << ": " << line;
  }
}

// The last flag is unknown. An unknown flag before it would be named instead.
TEST(ProgramsTest, ExamplesOfHelpNameKnownFlags) {
  for (const std::string& program : kPrograms) {
    std::string help = run_tool(program, {"--help"}).out;
    std::istringstream words(help.substr(help.find("Examples:\n")));
    std::vector<std::string> flags;
    for (std::string word; words >> word;)
      if (word.starts_with("--")) flags.push_back(word);
    EXPECT_GE(flags.size(), 2u) << program;
    flags.emplace_back("--no_such_flag");
    const Outcome outcome = run_tool(program, flags);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.err.find("there is no flag --no_such_flag"), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace tdds::test
