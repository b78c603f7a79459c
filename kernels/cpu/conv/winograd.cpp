#include "kernels/cpu/conv/winograd.h"

#include "kernels/cpu/conv/winograd_plan.h"
#include "kernels/runtime/check.h"

namespace tdds::cpu::winograd {

const Kernels& kernels(Isa isa) {
  return variant_for(isa, generic::kKernels, avx2::kKernels, avx512::kKernels);
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
