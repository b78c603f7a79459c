#pragma once
// The fixture of the tests on the fake runtime, with a stand-in for cuDNN's handles and executions.

#include <cudnn.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/device.h"
#include "kernels/ops/ops.h"
#include "tests/cuda_host/fake_runtime.h"
#include "tests/paths.h"

namespace tdds::fake {

// What happened to the handles and plans.
struct Cudnn {
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;  // of the next executions
  int executions = 0;
  cudaStream_t stream = nullptr;  // of the last execution
  int handles = 0;
  std::function<void(void* const* tensors)> compute =
      {};  // what an execution does with x, w and y; or nothing
};
Cudnn& cudnn();

// What an own convolution does; it is enqueued as a kernel is.
std::function<void(const Conv3x3ForwardArgs&)>& own_forward();
std::function<void(const Conv3x3DataArgs&)>& own_data();

inline constexpr Ops kNoOps{};

// A GPU that only makes plans, which are executed on a stream of the fake runtime.
class PlannedGpu : public GpuDevice {
 public:
  PlannedGpu() : GpuDevice(kNoOps), plans_(CudnnTarget::offline(json()), "sm_90", {}, {}) {}
  std::string description() const override { return "planned"; }
  void* allocate(std::size_t, std::string_view) override { return nullptr; }
  void free(void*) noexcept override {}
  std::int64_t allocations() const override { return 0; }
  std::unique_ptr<Stream> make_stream(StreamMode) override { return nullptr; }
  ConvPlanStore& conv_plans() override { return plans_; }

 private:
  static std::string json() {
    std::stringstream text;
    text << std::ifstream(source_path("kernels/cuda/cudnn/gpus/sm_90.json")).rdbuf();
    return text.str();
  }
  ConvPlanStore plans_;
};

class CudaHostTest : public testing::Test {
 protected:
  CudaHostTest() : runtime_(reset()) { cudnn() = {}; }
  ~CudaHostTest() override {
    EXPECT_EQ(runtime_.alive() + cudnn().handles, 0) << "handles or memory are left";
    EXPECT_EQ(runtime_.misuse, "");
  }
  Runtime& runtime_;
};

}  // namespace tdds::fake
