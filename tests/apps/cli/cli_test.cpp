#include "apps/cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "apps/cli/help.h"

namespace tdds {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

struct Options {
  std::string save_path = "runs/train";
  int batch_size = 100;
  double decay = 5e-4;
  std::vector<int> seeds{1, 2};
  bool dynamics = false;
};

struct Outcome {
  int code = 0;
  std::string out, err;
  Options options;
  FlagTexts texts;
};

using Body = std::function<int()>;

Outcome run(
    std::vector<const char*> arguments, const Body& body = [] { return 0; }) {
  arguments.insert(arguments.begin(), "tdds-train");
  Outcome outcome;
  Options& options = outcome.options;
  const FlagTable flags{
      {"save_path", &options.save_path, "Where the results go."},
      {"batch_size", &options.batch_size, "How many samples make a step. The last step may have fewer."},
      {"decay", &options.decay, "The weight decay."},
      {.name = "seeds", .variable = &options.seeds, .help = "The seeds.", .advanced = true},
      {"dynamics", &options.dynamics, "Records the dynamics."}};
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  outcome.code = run_program(static_cast<int>(arguments.size()), arguments.data(),
                             {.name = "tdds-train", .purpose = "Trains a network."}, flags, [&] {
                               outcome.texts = texts_of(flags);
                               return body();
                             });
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(CliTest, DashAndUnderscoreAreAlikeInNamesOnly) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--save-path", "a-b_c", "--batch-size", "7"},
        {"--save_path", "a-b_c", "--batch_size", "7"},
        {"--save-path=a-b_c", "--batch_size=7"},
        {"--batch-size", "3", "--save_path=a-b_c", "--batch_size", "7"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.options.save_path, "a-b_c");
    EXPECT_EQ(outcome.options.batch_size, 7);
  }
}

TEST(CliTest, TextsAreGivenOrDefault) {
  const Outcome outcome = run({"--batch-size", "007", "--dynamics"});
  EXPECT_EQ(outcome.texts, (FlagTexts{{"save_path", "runs/train"},
                                      {"batch_size", "7"},
                                      {"decay", "0.0005"},
                                      {"seeds", "1,2"},
                                      {"dynamics", "true"}}));
  EXPECT_EQ(run({}).texts[4].second, "false");
  EXPECT_EQ(run({"--dynamics=false"}).texts[4].second, "false");
}

TEST(CliTest, TheLastOfARepeatedFlagCountsAndListsAreNotJoined) {
  EXPECT_EQ(run({"--decay", "1", "--decay=2"}).options.decay, 2);
  EXPECT_EQ(run({"--decay", "1", "--decay=2"}).texts[2].second, "2");
  EXPECT_EQ(run({"--seeds", "3,4", "--decay", "1", "--seeds", "5"}).options.seeds, std::vector<int>{5});
  EXPECT_EQ(run({"--seeds=3,4", "--seeds", "5", "-6"}).options.seeds, (std::vector<int>{5, -6}));
  EXPECT_EQ(run({"--seeds", "3", "4", "--dynamics"}).options.seeds, (std::vector<int>{3, 4}));
}

TEST(CliTest, AnUnknownFlagSuggestsTheNearest) {
  const Outcome typo = run({"--batch-sise", "7"});
  EXPECT_EQ(typo.code, 2);
  EXPECT_EQ(
      typo.err,
      "tdds-train: there is no flag --batch_sise: did you mean --batch_size? --help-all lists all flags\n");
  EXPECT_THAT(run({"--batch", "7"}).err, HasSubstr("did you mean --batch_size?"));
  EXPECT_THAT(run({"--xyzzy=1"}).err, AllOf(HasSubstr("--xyzzy:"), testing::Not(HasSubstr("mean"))));
}

TEST(CliTest, BadCommandLinesAreOneSentenceAndCode2) {
  for (const std::vector<const char*>& arguments : {std::vector<const char*>{"--batch_size", "seven"},
                                                    {"--batch_size"},
                                                    {"stray"},
                                                    {"-q"},
                                                    {"--dynamics=perhaps"},
                                                    {"--batch_size", "99999999999999999999"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments[0];
    EXPECT_THAT(outcome.err, AllOf(StartsWith("tdds-train: "), EndsWith("\n")));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(CliTest, ExceptionsBecomeExitCodes) {
  const auto error = run({}, []() -> int { throw Error("the disk\nis full"); });
  EXPECT_EQ(error.code, 1);
  EXPECT_EQ(error.err, "tdds-train: the disk is full\n");
  EXPECT_EQ(run({}, []() -> int { throw UsageError("J must be at least 3"); }).code, 2);
  EXPECT_EQ(run({}, []() -> int { throw Interrupted("resume it", 130); }).code, 130);
  const auto memory = run({}, []() -> int { throw std::bad_alloc(); });
  EXPECT_EQ(memory.code, 1);
  EXPECT_THAT(memory.err, HasSubstr("not enough memory"));
  EXPECT_EQ(run({}, [] { return 5; }).code, 5);
}

TEST(CliTest, HelpShowsFirstSentencesOfTheMostUsedFlags) {
  const Outcome outcome = run({"--help"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* part :
       {"Trains a network.\n", "\nFlags:\n  --save_path TEXT [runs/train]\n",
        "  --batch_size INT [100]      How many samples make a step.\n",
        "  --decay FLOAT [0.0005]      The weight decay.\n", "  --dynamics  ", "--help-all"})
    EXPECT_THAT(outcome.out, HasSubstr(part));
  EXPECT_THAT(outcome.out, Not(HasSubstr("--seeds")));
}

TEST(CliTest, HelpAllShowsEverything) {
  const Outcome outcome = run({"--help-all"});
  EXPECT_EQ(outcome.code, 0);
  const std::string second_line = "\n" + std::string(30, ' ') + "have fewer.\n";
  EXPECT_THAT(outcome.out, HasSubstr("How many samples make a step. The last step may" + second_line));
  EXPECT_THAT(outcome.out, HasSubstr("  --seeds INT [1,2]           The seeds.\n"));
}

TEST(CliTest, HelpListsChoices) {
  std::string color = "red", taste = "sweet";
  const FlagTable flags{{"color", word_choice(color, {"red", "blue"}), "The color."},
                        {"taste", word_choice(taste, {"sweet", "sour", "bitter", "salty"}), "The taste."}};
  EXPECT_THAT(
      help_text({"tdds-train", "Trains."}, flags, false),
      AllOf(HasSubstr("  --color red|blue [red]      The color.\n"),
            HasSubstr("  --taste TEXT [sweet]        The taste. Choices: sweet, sour, bitter, salty.\n")));
}

TEST(CliTest, VersionIsOneLine) {
  const Outcome outcome = run({"--version"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "tdds-train " + version_text() + "\n");
  EXPECT_THAT(version_text(), AllOf(HasSubstr("oneDNN "), HasSubstr("CUDA")));
}

TEST(CliTest, WrapsAtTheWidth) {
  EXPECT_EQ(wrapped("one two three", 2, 9), "  one two\n  three\n");
  EXPECT_EQ(wrapped("incomprehensible word", 1, 6), " incomprehensible\n word\n");
  EXPECT_EQ(wrapped("", 2, 9), "\n");
}

}  // namespace
}  // namespace tdds
