#include "apps/cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace tdds {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

ProgressState half_way() {
  return {.label = "epoch 3/200",
          .unit = "images",
          .note = "loss 1.234",
          .done = 500,
          .total = 1000,
          .seconds = 10};
}

TEST(ProgressTest, BarShowsShareRateAndTimeLeft) {
  const std::string bar = progress_bar(half_way(), 100);
  EXPECT_EQ(
      bar,
      "epoch 3/200 [====================>                   ]  50 %  50 images/s  0:00:10 left  loss 1.234");
}

// Resumed at 400: the rate is ten images per second, not fifty.
TEST(ProgressTest, TheRateIgnoresTheWorkOfAnEarlierRun) {
  ProgressState state = half_way();
  state.before = 400;
  EXPECT_EQ(progress_line(state), "epoch 3/200 500/1000 images  10 images/s  0:00:50 left  loss 1.234");
}

TEST(ProgressTest, BarNeverFillsTheLastColumn) {
  for (int width = 0; width < 140; ++width)
    EXPECT_LT(progress_bar(half_way(), width).size(), std::max(width, 1));
  EXPECT_THAT(progress_bar(half_way(), 60), StartsWith("epoch 3/200  50 %"));
}

TEST(ProgressTest, BarAtTheEndsOfTheLoop) {
  ProgressState state = half_way();
  state.done = 0;
  EXPECT_THAT(progress_bar(state, 80), HasSubstr("[>"));
  EXPECT_THAT(progress_bar(state, 80), testing::Not(HasSubstr("left")));
  state.done = 1000;
  EXPECT_THAT(progress_bar(state, 80), HasSubstr("=] 100 %"));
  state.total = 0;
  EXPECT_THAT(progress_bar(state, 80), HasSubstr("100 %"));
}

TEST(ProgressTest, LineIsPlain) {
  EXPECT_EQ(progress_line(half_way()), "epoch 3/200 500/1000 images  50 images/s  0:00:10 left  loss 1.234");
}

std::string contents(std::FILE* file) {
  std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  return text;
}

TEST(ProgressTest, PrintsALineEveryFewUpdatesWithoutATerminal) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress("epoch 1/1", 100, "images", 4, {.file = file, .terminal = false, .width = 80});
    for (int i = 1; i <= 10; ++i) {
      EXPECT_EQ(progress.due(), i % 4 == 0);
      progress.update(10 * i);
    }
  }
  const std::string text = contents(file);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_THAT(text, StartsWith("epoch 1/1 40/100 images"));
  EXPECT_EQ(text.find('\r'), std::string::npos);
  std::fclose(file);
}

TEST(ProgressTest, RedrawsSeldomAndClearsTheBar) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress("epoch 1/1", 1'000'000, "images", 1, {.file = file, .terminal = true, .width = 80});
    for (int i = 1; i <= 1000; ++i) progress.update(i);
    if (progress.seconds() < 0.09) {
      EXPECT_FALSE(progress.due());
    }
  }
  const std::string text = contents(file);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_LT(std::count(text.begin(), text.end(), '\r'), 100);
  EXPECT_TRUE(text.ends_with("\r\x1b[K"));
  std::fclose(file);
}

}  // namespace
}  // namespace tdds
