#pragma once
// Chooses convolution plans by timing, for tests: with real plans for a described GPU, and a timer that the
// tests control.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/io/plan_cache.h"
#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/cudnn/offline_gpu.h"
#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds::test {

inline constexpr ConvDirection kForward = ConvDirection::kForward;

inline Conv2dSpec fp16(Conv2dSpec spec) {
  spec.dtype = DType::kF16;
  return spec;
}
// 128 images, 64 to 128 channels, stride 2.
inline const Conv2dSpec kLayer = fp16({128, 32, 32, 64, 128, 3, 3, 2, 1});

inline CudnnTarget sm_90() {
  return CudnnTarget::offline(offline_gpu_properties("sm_90"));
}

inline std::vector<std::string> all_plans(const Conv2dSpec& spec, ConvDirection direction) {
  std::vector<std::string> plans;
  visit_plans(spec, direction, sm_90(), kAllPlans, [&](const ConvPlan& plan) {
    plans.push_back(plan.choice.text());
    return true;
  });
  return plans;
}

inline std::string text_of(ConvPlanStore& store, const Conv2dSpec& spec, ConvDirection direction = kForward) {
  return store.get(spec, direction)->choice.text();
}

class PlanTimingTest : public testing::Test {
 protected:
  ConvPlanStore store(PlanTiming timing, OwnKernels own = {}) const {
    return {sm_90(), "sm_90", plan_cache_file(path_), std::move(timing), std::move(own)};
  }
  // The clock advances by `step_` seconds with every timing.
  PlanTiming timed_by(const PlanTiming::Timer& timer) {
    return {.prepare =
                [this, timer](const Conv2dSpec&, ConvDirection) {
                  ++prepared_;
                  return [this, timer](const ConvPlan& plan, int runs) {
                    now_ += step_;
                    return timer(plan, runs);
                  };
                },
            .seconds = [this] { return now_; }};
  }
  PlanTiming equally_fast() {
    return timed_by([](const ConvPlan&, int) { return 1.0; });
  }
  static std::string heuristic(const Conv2dSpec& spec, ConvDirection direction = kForward) {
    ConvPlanStore plain(sm_90(), "sm_90", {}, {});
    return text_of(plain, spec, direction);
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "plans";
  double now_ = 100, step_ = 0;
  int prepared_ = 0;
};

}  // namespace tdds::test
