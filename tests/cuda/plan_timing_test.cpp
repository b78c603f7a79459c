// How convolution plans are chosen by timing, and kept: with real plans for a described GPU, and a timer that
// the tests control.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <set>

#include "tests/cuda/library_shapes.h"
#include "tests/cuda/plan_timing.h"

namespace tdds {
namespace {

using namespace test;

using testing::HasSubstr;

TEST_F(PlanTimingTest, TimesEveryPlanOnceAndTheBestAgain) {
  const std::vector<std::string> all = all_plans(kLayer, kForward);
  ASSERT_GT(all.size(), 20U);
  ASSERT_EQ(std::set(all.begin(), all.end()).size(), all.size()) << "a plan is proposed twice";
  std::vector<std::string> once, again;
  ConvPlanStore timed = store(timed_by([&](const ConvPlan& plan, int runs) {
    const std::string text = plan.choice.text();
    (runs == 1 ? once : again).push_back(text);
    return text == all[9] ? 0.5 : text == all[12] ? 0.6 : text == all[0] ? 7.0 : 1.0;
  }));
  EXPECT_EQ(text_of(timed, kLayer), all[9]);
  EXPECT_EQ(once, all);
  EXPECT_EQ(again, (std::vector<std::string>{all[9], all[12], all[1], all[0]}))
      << "the three fastest, and the first that cuDNN proposes";
  ASSERT_EQ(timed.notes().size(), 1U);
  EXPECT_THAT(
      timed.notes()[0],
      HasSubstr(fmt::format("{} plans of 1 convolutions were timed in 0.0 s; the fastest are kept in {}",
                            all.size(), path_)));
}

TEST_F(PlanTimingTest, TheSecondRoundDecides) {
  const std::vector<std::string> all = all_plans(kLayer, kForward);
  ConvPlanStore timed = store(timed_by([&](const ConvPlan& plan, int runs) {
    const std::string text = plan.choice.text();
    if (text == all[5]) return runs == 1 ? 0.5 : 0.8;
    if (text == all[6]) return runs == 1 ? 0.6 : 0.7;
    return 1.0;
  }));
  EXPECT_EQ(text_of(timed, kLayer), all[6]);
}

TEST_F(PlanTimingTest, OfEquallyFastPlansTheFirstIsTaken) {
  ConvPlanStore timed = store(equally_fast());
  EXPECT_EQ(text_of(timed, kLayer), all_plans(kLayer, kForward)[0]);
}

// Every training convolution of ResNet-18 in every direction, where plans are slow: together they stay within
// the budget, all get a plan, and the first ones are timed.
TEST_F(PlanTimingTest, StaysWithinTheBudget) {
  step_ = 0.1;
  PlanTiming timing = equally_fast();
  timing.budget_seconds = 5;
  ConvPlanStore timed(sm_90(), "sm_90", {}, timing);
  int convolutions = 0;
  for (const Conv2dSpec& layer : test::kResNet18)
    for (const ConvDirection direction : kConvDirections) {
      const Conv2dSpec spec = fp16(layer);
      const bool used_up = prepared_ < convolutions++;
      const int before = prepared_;
      const std::string text = text_of(timed, spec, direction);
      if (used_up) {
        EXPECT_EQ(prepared_, before) << "timed after the budget was used up";
        EXPECT_EQ(text, heuristic(spec, direction));
      }
    }
  EXPECT_GT(prepared_, 5);
  EXPECT_LT(prepared_, convolutions) << "the test shows nothing";
  EXPECT_LT(now_ - 100, 5.5);
  ASSERT_EQ(timed.notes().size(), 2U);
  EXPECT_THAT(timed.notes()[0], HasSubstr("not kept for other runs"));
  EXPECT_THAT(timed.notes()[1],
              HasSubstr(fmt::format("the plans of {} convolutions: timing takes at most 5 s",
                                    convolutions - prepared_)));
}

TEST_F(PlanTimingTest, ShowsWhatIsTimed) {
  std::vector<std::string> shown;
  PlanTiming timing = equally_fast();
  timing.show = [&](const std::string& text) { shown.push_back(text); };
  ConvPlanStore timed = store(timing);
  text_of(timed, kLayer);
  ASSERT_GT(shown.size(), 2U);
  EXPECT_EQ(shown[0],
            "timing cuDNN's convolution plans, for at most 15 s in all: " + conv_text(kLayer, kForward));
  EXPECT_EQ(shown.back(), "");
  // An interrupted timing leaves nothing shown.
  timing.show = [&](const std::string& text) {
    shown.push_back(text);
    if (!text.empty()) throw Error("interrupted");
  };
  ConvPlanStore interrupted(sm_90(), "sm_90", {}, timing);
  EXPECT_THROW(interrupted.get(kLayer, kForward), Error);
  EXPECT_EQ(shown.back(), "");
  EXPECT_THAT(interrupted.choices(), testing::Not(HasSubstr("forward")));
}

TEST_F(PlanTimingTest, SkipsPlansThatFail) {
  const std::vector<std::string> all = all_plans(kLayer, kForward);
  ConvPlanStore timed = store(timed_by([&](const ConvPlan& plan, int) {
    if (plan.choice.text() != all[1]) throw Error("it cannot run");
    return 1.0;
  }));
  EXPECT_EQ(text_of(timed, kLayer), all[1]);
  std::remove(path_.c_str());
  ConvPlanStore failing =
      store(timed_by([](const ConvPlan&, int) -> double { throw Error("it cannot run"); }));
  try {
    failing.get(kLayer, kForward);
    FAIL() << "a plan that cannot run was returned";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("ran on sm_90: it cannot run"));
  }
}

// For example for lack of memory for its tensors.
TEST_F(PlanTimingTest, TakesTheHeuristicsPlanWhereNothingCanBeTimed) {
  ConvPlanStore full(sm_90(), "sm_90", plan_cache_file(path_),
                     {.prepare = [](const Conv2dSpec&, ConvDirection) -> PlanTiming::Timer {
                       throw OutOfMemory("no memory", 0);
                     }});
  EXPECT_EQ(text_of(full, kLayer), heuristic(kLayer));
  ASSERT_EQ(full.notes().size(), 1U);
  EXPECT_THAT(full.notes()[0], HasSubstr("were not timed: no memory"));
}

// A dry run does the second: it has the cache and no timer.
TEST_F(PlanTimingTest, LaterRunsReadTheFileAndTimeNothing) {
  const std::vector<std::string> all = all_plans(kLayer, kForward);
  ConvPlanStore first =
      store(timed_by([&](const ConvPlan& plan, int) { return plan.choice.text() == all[7] ? 1.0 : 2.0; }));
  ASSERT_EQ(text_of(first, kLayer), all[7]);
  ASSERT_NE(heuristic(kLayer), all[7]) << "the test shows nothing";
  prepared_ = 0;
  for (const PlanTiming& timing : {equally_fast(), PlanTiming{}}) {
    ConvPlanStore later = store(timing);
    EXPECT_EQ(text_of(later, kLayer), all[7]);
    EXPECT_EQ(prepared_, 0);
    EXPECT_TRUE(later.notes().empty());
  }
  // Another shape, type or direction has another key.
  ConvPlanStore plain = store({});
  Conv2dSpec other = kLayer;
  other.batch = 100;
  EXPECT_NE(plain.key(other, kForward), plain.key(kLayer, kForward));
  EXPECT_NE(plain.key(other, kForward), plain.key(other, ConvDirection::kData));
}

// Two runs that start at once read the same file; each keeps what the other has timed, and uses it.
TEST_F(PlanTimingTest, TwoRunsAddToOneFile) {
  Conv2dSpec other = kLayer;
  other.batch = 64;
  ConvPlanStore one = store(equally_fast()), two = store(equally_fast());
  text_of(one, kLayer);
  text_of(two, other);
  EXPECT_EQ(prepared_, 2);
  text_of(two, kLayer);
  EXPECT_EQ(prepared_, 2) << "timed again";
  ConvPlanStore later = store(equally_fast());
  text_of(later, kLayer);
  text_of(later, other);
  EXPECT_EQ(prepared_, 2) << "the file lost a plan";
}

TEST_F(PlanTimingTest, EvaluationIsNotTimed) {
  Conv2dSpec inference = kLayer;
  inference.backward = false;
  ConvPlanStore timed = store(equally_fast());
  EXPECT_EQ(text_of(timed, inference), heuristic(inference));
  EXPECT_EQ(prepared_, 0);
  // A training with the same batch still is, in whichever order they are planned.
  text_of(timed, kLayer);
  EXPECT_EQ(prepared_, 1);
}

TEST_F(PlanTimingTest, AShortBatchTakesTheFullOnesPlanWhereItFits) {
  // The last supported plan of each convolution is the fastest, so that it is not what cuDNN proposes first.
  double milliseconds = 1e6;
  ConvPlanStore timed = store(timed_by([&](const ConvPlan&, int) { return milliseconds -= 1; }));
  int same = 0, all = 0;
  for (const Conv2dSpec& layer : test::kResNet18)
    for (const ConvDirection direction : kConvDirections) {
      const Conv2dSpec full = fp16(layer);
      Conv2dSpec rest = full;
      rest.batch = full.batch * 5 / 8;
      rest.full_batch = full.batch;
      const std::string like = text_of(timed, full, direction);
      const int before = prepared_;
      const std::string taken = text_of(timed, rest, direction);
      EXPECT_EQ(prepared_, before) << "a short batch was timed";
      if (taken != like) {
        EXPECT_EQ(taken, heuristic(rest, direction));
      }
      same += taken == like ? 1 : 0;
      ++all;
      EXPECT_LE(timed.get(rest, direction)->workspace_bytes,
                std::max({timed.get(full, direction)->workspace_bytes, std::size_t{1} << 20,
                          ConvPlanStore(sm_90(), "sm_90", {}, {}).get(rest, direction)->workspace_bytes}));
    }
  std::cout << same << " of " << all << " short batches take the plan of the full one\n";
  EXPECT_GE(same, all / 2);
}

// Whether the short batch or a full one of that size is planned first changes neither.
TEST_F(PlanTimingTest, AFullBatchOfTheSameSizeIsTimedByItself) {
  Conv2dSpec rest = kLayer;
  rest.batch = 80;
  rest.full_batch = 128;
  ConvPlanStore timed = store(equally_fast());
  text_of(timed, rest);
  EXPECT_EQ(prepared_, 1) << "that of the full batch";
  rest.full_batch = 0;
  text_of(timed, rest);
  EXPECT_EQ(prepared_, 2);
}

TEST_F(PlanTimingTest, IgnoresDamagedFileWithANote) {
  for (const char* text :
       {"", "something else\n", "tdds convolution plans 1\nkey\n", "tdds convolution plans 1\nkey\t7:\t0.5\n",
        "tdds convolution plans 1\nkey\t7\tfast\n", "tdds convolution plans 2\nkey\t7\t0.5\n",
        "tdds convolution plans 2\nkey\town 256x64\t0.5\t1\n",
        "tdds convolution plans 2\nkey\town v1\t0.5\t1\n"}) {
    std::ofstream(path_) << text;
    ConvPlanStore damaged = store(equally_fast());
    ASSERT_EQ(damaged.notes().size(), 1U) << text;
    EXPECT_THAT(damaged.notes()[0], HasSubstr(path_));
    EXPECT_NE(damaged.get(kLayer, kForward), nullptr);
    EXPECT_TRUE(store({}).notes().empty()) << "the file is valid again";
    if (*text != '\0') {
      EXPECT_THROW(store({}).keep(text), Error) << text;
    }
  }
}

TEST_F(PlanTimingTest, TimesAgainWhenAPlanCannotBeRebuilt) {
  const std::string key = store({}).key(kLayer, kForward);
  std::ofstream(path_) << "tdds convolution plans 1\n" << key << "\t9999\t0.5\n";
  ConvPlanStore timed = store(equally_fast());
  EXPECT_NE(timed.get(kLayer, kForward), nullptr);
  EXPECT_EQ(prepared_, 1);
  EXPECT_EQ(timed.notes().size(), 2U);
  ConvPlanStore later = store(equally_fast());
  EXPECT_NE(later.get(kLayer, kForward), nullptr);
  EXPECT_EQ(prepared_, 1) << "the new plan was not kept";
}

TEST_F(PlanTimingTest, ReportsUnwritableFileAsANote) {
  ConvPlanStore timed(sm_90(), "sm_90", plan_cache_file("/proc/nothing/plans"), equally_fast());
  EXPECT_NE(timed.get(kLayer, kForward), nullptr);
  ASSERT_EQ(timed.notes().size(), 2U);
  EXPECT_THAT(timed.notes()[0], HasSubstr("/proc/nothing/plans cannot be saved"));
}

// A run whose plans were chosen by timing is resumed without timing and continues with the same plans, and a
// sweep keeps the plans of all its runs, also of those that it does not need this time.
TEST_F(PlanTimingTest, AResumedRunKeepsItsPlans) {
  const std::vector<std::string> all = all_plans(kLayer, kForward);
  ConvPlanStore first =
      store(timed_by([&](const ConvPlan& plan, int) { return plan.choice.text() == all[7] ? 1.0 : 2.0; }));
  ASSERT_EQ(text_of(first, kLayer), all[7]);
  ASSERT_NE(heuristic(kLayer), all[7]) << "the test shows nothing";
  ConvPlanStore kept(sm_90(), "sm_90", {}, equally_fast());
  prepared_ = 0;
  kept.keep(first.choices());
  // Without the time and the version of the own kernels that took part.
  const auto but_times = [](const std::string& choices) {
    return choices.substr(0, choices.rfind('\t', choices.rfind('\t') - 1));
  };
  EXPECT_EQ(but_times(kept.choices()), but_times(first.choices())) << "before they are used";
  EXPECT_EQ(text_of(kept, kLayer), all[7]);
  EXPECT_EQ(prepared_, 0);
  EXPECT_EQ(but_times(kept.choices()), but_times(first.choices()));
}

// What --engines of bench_kernels shows.
TEST_F(PlanTimingTest, TimesAllPlansBesideTheChosenOne) {
  const std::vector<std::string> all = all_plans(kLayer, kForward);
  ConvPlanStore plain = store({});
  const std::string chosen = text_of(plain, kLayer);
  std::map<std::string, int> runs_of;
  const auto timer = [&](const ConvPlan& plan, int runs) {
    const std::string text = plan.choice.text();
    runs_of[text] += runs;
    if (text == all[3]) throw Error("it cannot run");
    return text == all[5] ? 2.0 : text == all[6] ? 100.0 : 3.0;
  };
  const std::vector<TimedConvPlan> timed = plain.time_all({kLayer, kForward}, timer);
  ASSERT_EQ(timed.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_THAT(timed[i].plan, testing::StartsWith(all[i] + " (engine ")) << i;
    EXPECT_EQ(timed[i].seconds, i == 3 ? 0 : i == 5 ? 0.002 : i == 6 ? 0.1 : 0.003) << i;
    EXPECT_EQ(timed[i].chosen, all[i] == chosen) << i;
    EXPECT_EQ(runs_of[all[i]], i == 3 || i == 6 ? 1 : 10)
        << "only plans that may be the best run again: " << i;
  }
  EXPECT_EQ(text_of(plain, kLayer), chosen) << "the choice has changed";
}

// As after a resumed run, whose plan may be one that the heuristics no longer propose.
TEST_F(PlanTimingTest, TimesTheChosenPlanThoughItIsNotProposed) {
  Conv2dSpec exact = kLayer;
  exact.dtype = DType::kF32;
  ConvPlanStore all = store({}), kept(sm_90(), "sm_90", {}, {});
  const std::vector<std::string> proposed = all_plans(exact, kForward);
  // The same engine with another setting of one of its knobs.
  for (const std::string& one : proposed) {
    ConvPlanChoice choice = ConvPlanChoice::parse(one);
    for (auto& [knob, value] : choice.knobs) {
      ++value;
      const std::string other = choice.text();
      if (std::find(proposed.begin(), proposed.end(), other) == proposed.end()) try {
          kept.keep("tdds convolution plans 1\n" + all.key(exact, kForward) + "\t" + other + "\t0\n");
          kept.get(exact, kForward);
          const std::vector<TimedConvPlan> timed =
              kept.time_all({exact, kForward}, [](const ConvPlan&, int) { return 1.0; });
          ASSERT_EQ(timed.size(), proposed.size() + 1);
          EXPECT_TRUE(timed.back().chosen);
          EXPECT_THAT(timed.back().plan, testing::StartsWith(other));
          return;
        } catch (const Error&) {  // the engine does not support this setting
        }
      --value;
    }
  }
  FAIL() << "no engine has another setting";
}

}  // namespace
}  // namespace tdds
