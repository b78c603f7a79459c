#include "apps/train/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <limits>

#include "engine/io/files.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t kAny = 1 << 20;
const ProgramInfo kProgram{.name = "tdds-train", .purpose = "Trains."};
const FlagTexts kOptions{{"epochs", "3"}, {"save_path", "a folder"}};

TEST(RunLogTest, IsHeadedByVersionDeviceAndEveryOption) {
  const TemporaryFolder folder;
  RunLog log(folder / "run", kProgram, kOptions, "cpu, 2 threads");
  testing::internal::CaptureStdout();
  log.say("epoch 1: loss 2.3");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "epoch 1: loss 2.3\n");
  const std::string text = read_file(folder / "run/log.txt", kAny);
  for (const std::string& part :
       {std::string("# tdds-train ") + version_text(), std::string("# device: cpu, 2 threads"),
        std::string("--epochs 3\n"), std::string("--save_path a folder\n"),
        std::string("  epoch 1: loss 2.3\n")})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(RunLogTest, KeepsEarlierLogs) {
  const TemporaryFolder folder;
  RunLog(folder.path(), kProgram, kOptions, "cpu").note("first");
  RunLog(folder.path(), kProgram, kOptions, "cpu").note("second");
  const std::string text = read_file(folder / "log.txt", kAny);
  EXPECT_THAT(text, HasSubstr("  first\n"));
  EXPECT_THAT(text, HasSubstr("  second\n"));
}

void add_epochs(RunLog& log, int first, int last) {
  for (int epoch = first; epoch <= last; ++epoch) log.add_metrics({{"epoch", epoch}, {"loss", 0.5}});
}

TEST(RunLogTest, AResumedRunDropsTheEpochsThatItRepeats) {
  const TemporaryFolder folder;
  RunLog first(folder.path(), kProgram, kOptions, "cpu");
  add_epochs(first, 0, 4);
  append_to_file(folder / "metrics.jsonl", "{\"epoch\":1,\"lo");  // the crash
  RunLog second(folder.path(), kProgram, kOptions, "cpu");
  EXPECT_THAT(read_file(folder / "metrics.jsonl", kAny),
              HasSubstr("\"epoch\":4"));  // an evaluation leaves them alone
  second.begin_metrics(3);
  EXPECT_EQ(read_file(folder / "metrics.jsonl", kAny),
            "{\"epoch\":0,\"loss\":0.5}\n{\"epoch\":1,\"loss\":0.5}\n{\"epoch\":2,\"loss\":0.5}\n");
  add_epochs(second, 3, 3);
  second.begin_metrics(0);
  EXPECT_EQ(read_file(folder / "metrics.jsonl", kAny), "");
}

TEST(RunLogTest, MetricsAreJsonForAllValues) {
  const TemporaryFolder folder;
  RunLog log(folder.path(), kProgram, kOptions, "cpu");
  log.add_metrics({{"epoch", 0}, {"loss", std::numeric_limits<double>::quiet_NaN()}, {"name", "\xff"}});
  const auto line = nlohmann::json::parse(read_file(folder / "metrics.jsonl", kAny));
  EXPECT_TRUE(line["loss"].is_null());
  EXPECT_THAT([&] { log.add_metrics({{"loss", 1.0}}); }, ThrowsMessage<Error>(HasSubstr("\"epoch\"")));
}

}  // namespace
}  // namespace tdds
