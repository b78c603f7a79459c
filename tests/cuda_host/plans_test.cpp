// The errors when cuDNN finalises no plan: calls of its functions pass through here and fail where a test
// asks for it.

#include <cudnn.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/runtime/check.h"
#include "tests/paths.h"

namespace {

// The status of finalising the first execution plan, and of the others.
cudnnStatus_t of_first = CUDNN_STATUS_SUCCESS, of_others = CUDNN_STATUS_SUCCESS;
int finalized_plans = 0;
cudnnBackendDescriptor_t last_plan = nullptr;

template <class Function>
Function of_cudnn(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  static const auto real = of_cudnn<decltype(&cudnnBackendCreateDescriptor)>("cudnnBackendCreateDescriptor");
  const cudnnStatus_t status = real(type, descriptor);
  // Another descriptor may have the address of a destroyed plan.
  if (type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    last_plan = *descriptor;
  else if (*descriptor == last_plan)
    last_plan = nullptr;
  return status;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  static const auto real = of_cudnn<decltype(&cudnnBackendFinalize)>("cudnnBackendFinalize");
  if (descriptor == last_plan) {
    const cudnnStatus_t wanted = finalized_plans++ == 0 ? of_first : of_others;
    if (wanted != CUDNN_STATUS_SUCCESS) return wanted;
  }
  return real(descriptor);
}

namespace tdds {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class PlanFailureTest : public testing::Test {
 protected:
  ~PlanFailureTest() override { of_first = of_others = CUDNN_STATUS_SUCCESS; }
  static std::shared_ptr<const ConvPlan> plan(cudnnStatus_t first, cudnnStatus_t others) {
    std::stringstream json;
    json << std::ifstream(source_path("kernels/cuda/cudnn/gpus/sm_90.json")).rdbuf();
    ConvPlanStore store(CudnnTarget::offline(json.str()), "sm_90", {}, {});
    of_first = first;
    of_others = others;
    finalized_plans = 0;
    return store.get({128, 8, 8, 64, 64, 3, 3, 1, 1, DType::kF16}, ConvDirection::kForward);
  }
};

TEST_F(PlanFailureTest, OfOneEngineFallsBackToOthers) {
  for (const cudnnStatus_t status :
       {CUDNN_STATUS_NOT_SUPPORTED_SHAPE, CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED})
    EXPECT_NE(plan(status, CUDNN_STATUS_SUCCESS), nullptr);
}

TEST_F(PlanFailureTest, OfAllEnginesReportsCudnnsReason) {
  EXPECT_THAT([] { plan(CUDNN_STATUS_NOT_SUPPORTED_SHAPE, CUDNN_STATUS_NOT_SUPPORTED_LAYOUT); },
              ThrowsMessage<Error>(AllOf(HasSubstr("has no deterministic plan for the convolution forward x"),
                                         HasSubstr("on sm_90, and says CUDNN_STATUS_NOT_SUPPORTED_LAYOUT"),
                                         HasSubstr("use another precision or batch"))));
}

// An error is a better reason than an unsupported graph.
TEST_F(PlanFailureTest, ReportsAnErrorRatherThanNotSupported) {
  EXPECT_THAT([] { plan(CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED, CUDNN_STATUS_NOT_SUPPORTED); },
              ThrowsMessage<Error>(AllOf(HasSubstr("and says CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED"),
                                         HasSubstr("set LD_LIBRARY_PATH to the folder"))));
}

}  // namespace
}  // namespace tdds
