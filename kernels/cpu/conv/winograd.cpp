#include "kernels/cpu/winograd.h"

#include "kernels/check.h"
#include "kernels/cpu/winograd_plan.h"

namespace tdds::cpu::winograd {

const Kernels& kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::kKernels;
  if (isa == Isa::kAvx2) return avx2::kKernels;
#endif
  (void)isa;
  return generic::kKernels;
}

bool supports(const Conv2dSpec& s) {
  return s.filter_h == 3 && s.filter_w == 3 && s.stride == 1 && s.padding == 1 && s.dtype == DType::kF32;
}

std::unique_ptr<Conv2dPass> make_pass(const Conv2dSpec& spec, Direction direction, Isa isa) {
  check(supports(spec), "winograd: only 3x3 filters with stride 1 and padding 1 in f32");
  if (direction == Direction::kBackwardFilter) return make_filter_pass(spec, kernels(isa));
  return make_output_pass(spec, direction, kernels(isa));
}

}  // namespace tdds::cpu::winograd
