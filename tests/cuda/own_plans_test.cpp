// How the project's own kernels are chosen beside cuDNN's plans, and kept.
#include <fstream>

#include "tests/cuda/plan_timing.h"

namespace tdds {
namespace {

using namespace test;

using testing::AllOf;
using testing::HasSubstr;

// Own kernels, for a layer that they support.
class OwnPlanTest : public PlanTimingTest {
 protected:
  static OwnKernels own() {
    return {.tiles = [](const Conv2dSpec& spec, ConvDirection direction) {
      std::vector<Conv3x3Tile> tiles;
      if (spec.stride == 1 && direction != ConvDirection::kFilter)
        tiles = {Conv3x3Tile::k256x64, Conv3x3Tile::k128x64};
      return tiles;
    }};
  }
  // An own kernel takes `milliseconds`, a plan of cuDNN's 1.
  PlanTiming with_own_taking(double milliseconds) {
    return timed_by([=](const ConvPlan& plan, int) {
      return plan.tile ? milliseconds - 0.1 * static_cast<double>(*plan.tile) : 1.0;
    });
  }
  std::string text_of_file() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const Conv2dSpec layer_ = fp16({128, 32, 32, 64, 64, 3, 3, 1, 1});
  const std::string kOwn = "own 128x64 v1";
};

TEST_F(OwnPlanTest, ServesWhereItIsTheFastest) {
  std::vector<std::string> ran;
  ConvPlanStore timed = store(timed_by([&](const ConvPlan& plan, int runs) {
                                if (runs == 1) ran.push_back(plan.choice.text());
                                return plan.tile == Conv3x3Tile::k128x64 ? 0.5 : 1.0;
                              }),
                              own());
  EXPECT_EQ(text_of(timed, layer_), kOwn);
  EXPECT_EQ(timed.get(layer_, kForward)->tile, Conv3x3Tile::k128x64);
  EXPECT_EQ(timed.get(layer_, kForward)->workspace_bytes, 0U);
  // A plan of cuDNN's comes first: the timer compares own results with its result.
  ASSERT_GT(ran.size(), 3U);
  EXPECT_EQ(ran[0], heuristic(layer_));
  EXPECT_EQ(ran[1], "own 256x64 v1");
  EXPECT_EQ(ran[2], kOwn);
  ASSERT_EQ(timed.notes().size(), 2U);
  EXPECT_THAT(timed.notes()[1],
              HasSubstr("faster than cuDNN's best plan for 1 of 1 convolutions: 2.00 to 2.00"));
  // It has no filter gradient, and nothing for inference.
  EXPECT_FALSE(timed.get(layer_, ConvDirection::kFilter)->tile);
  Conv2dSpec inference = layer_;
  inference.backward = false;
  EXPECT_FALSE(timed.get(inference, kForward)->tile);
}

TEST_F(OwnPlanTest, DoesNotServeWhereItIsSlower) {
  ConvPlanStore timed = store(with_own_taking(2), own());
  EXPECT_EQ(text_of(timed, layer_), heuristic(layer_));
  EXPECT_THAT(timed.notes()[1], HasSubstr("for 0 of 1 convolutions: 0.56 to 0.56"));
}

TEST_F(OwnPlanTest, IsNeverUsedWhereItsResultIsWrong) {
  ConvPlanStore timed = store(timed_by([](const ConvPlan& plan, int) {
                                if (plan.tile) throw Error("its result differs from cuDNN's");
                                return 1.0;
                              }),
                              own());
  EXPECT_EQ(text_of(timed, layer_), heuristic(layer_));
  ASSERT_EQ(timed.notes().size(), 3U);
  EXPECT_THAT(timed.notes()[0], AllOf(HasSubstr("the kernel 'own 256x64' is not used for forward x [128"),
                                      HasSubstr("its result differs from cuDNN's")));
}

// Nothing is timed there, so that nothing has been compared.
TEST_F(OwnPlanTest, DoesNotServeWithoutATiming) {
  ConvPlanStore plain = store({}, own());
  EXPECT_FALSE(plain.get(layer_, kForward)->tile);
  OwnKernels always = own();
  always.always = true;
  ConvPlanStore forced = store({}, always);
  EXPECT_EQ(text_of(forced, layer_), "own 256x64 v1");
  EXPECT_FALSE(forced.get(kLayer, kForward)->tile);
}

TEST_F(OwnPlanTest, IsKeptInTheFileAndInTheRun) {
  ConvPlanStore first = store(with_own_taking(0.5), own());
  ASSERT_EQ(text_of(first, layer_), kOwn);
  EXPECT_THAT(text_of_file(), AllOf(testing::StartsWith("tdds convolution plans 2\n"),
                                    HasSubstr("\town 128x64 v1\t0.3000\t1\n")));
  prepared_ = 0;
  ConvPlanStore later = store(equally_fast(), own()), kept = store({}, own());
  kept.keep(first.choices());
  EXPECT_EQ(text_of(later, layer_), kOwn);
  EXPECT_EQ(text_of(kept, layer_), kOwn);
  EXPECT_EQ(prepared_, 0);
  EXPECT_EQ(kept.choices(), first.choices());
  // A short batch takes it, too.
  Conv2dSpec rest = layer_;
  rest.batch = 80;
  rest.full_batch = 128;
  EXPECT_EQ(text_of(later, rest), kOwn);
  // Without own kernels the layer is timed again.
  ConvPlanStore never = store(equally_fast());
  EXPECT_EQ(text_of(never, layer_), heuristic(layer_));
  EXPECT_EQ(prepared_, 1);
}

// Files and checkpoints of earlier versions hold no own kernels. A run continues with its plans; a file's
// plan is compared with the own kernels, once.
TEST_F(OwnPlanTest, ReadsTheFormerFormat) {
  const std::vector<std::string> all = all_plans(layer_, kForward), others = all_plans(kLayer, kForward);
  ConvPlanStore empty = store({});
  const std::string text =
      fmt::format("tdds convolution plans 1\n{}\t{}\t0.5\n{}\t{}\t0.5\n", empty.key(layer_, kForward), all[3],
                  empty.key(kLayer, kForward), others[4]);
  std::ofstream(path_) << text;
  ConvPlanStore resumed = store(equally_fast(), own());
  resumed.keep(text);
  EXPECT_EQ(text_of(resumed, layer_), all[3]);
  EXPECT_EQ(prepared_, 0);
  for (int run = 0; run < 2; ++run) {
    ConvPlanStore timed = store(with_own_taking(0.5), own());
    EXPECT_EQ(text_of(timed, layer_), kOwn);
    EXPECT_EQ(text_of(timed, kLayer), others[4]) << "no own kernel supports it";
    EXPECT_EQ(prepared_, 1);
  }
}

TEST_F(OwnPlanTest, OfAnotherVersionIsRefusedInARunAndTimedAgainInTheFile) {
  const std::string key = store({}).key(layer_, kForward);
  const std::string text = fmt::format("tdds convolution plans 2\n{}\town 256x64 v7\t0.5\t7\n", key);
  ConvPlanStore resumed = store(equally_fast(), own());
  resumed.keep(text);
  EXPECT_THAT([&] { resumed.get(layer_, kForward); },
              testing::ThrowsMessage<Error>(AllOf(HasSubstr("by version 7 of the project's 3x3 convolution"),
                                                  HasSubstr("this program has version 1"))));
  std::ofstream(path_) << text;
  ConvPlanStore timed = store(with_own_taking(0.5), own());
  EXPECT_EQ(text_of(timed, layer_), kOwn);
  EXPECT_EQ(prepared_, 1);
}

// The run began on a GPU that had the kernel.
TEST_F(OwnPlanTest, ThatTheGpuDoesNotHaveIsRefused) {
  ConvPlanStore resumed = store({}, own());
  resumed.keep(
      fmt::format("tdds convolution plans 2\n{}\town 128x128 v1\t0.5\t1\n", resumed.key(layer_, kForward)));
  EXPECT_THAT([&] { resumed.get(layer_, kForward); },
              testing::ThrowsMessage<Error>(HasSubstr("the kernel 'own 128x128' cannot compute forward x")));
}

}  // namespace
}  // namespace tdds
