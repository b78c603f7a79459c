#pragma once
// The precisions of a GPU, by name, for tests that make plans in each.

#include "kernels/ops/conv2d.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds::test {

struct GpuPrecision {
  const char* name;
  DType compute;
  Conv2dMath math;
};
inline constexpr GpuPrecision kGpuPrecisions[] = {{"fp32", DType::kF32, Conv2dMath::kExact},
                                                  {"tf32", DType::kF32, Conv2dMath::kTf32},
                                                  {"fp16", DType::kF16, Conv2dMath::kExact},
                                                  {"bf16", DType::kBf16, Conv2dMath::kExact}};

}  // namespace tdds::test
