#include "kernels/backends/backend.h"
#include "kernels/cpu/plans.h"
#include "kernels/ops/run.h"
#include "kernels/ops/sort.h"
#include "kernels/runtime/host_stream.h"

namespace tdds {

// Ops that a library computes on the GPU (convolution, the linear layer, sorting) use the CPU's
// implementation. A convolution of 16-bit operands is computed in fp32 and rounded once, as on a GPU.
Backend simt_backend() {
  static constexpr Ops kOps{Kernels::kSimt, cpu::make_widened_conv2d, cpu::make_linear};
  return {&kOps, nullptr, make_host_device};
}

template <>
void simt::run(Stream& stream, const SortArgs& args) {
  enqueue(stream, "sort_by_score", args, cpu::run<SortArgs>);
}

}  // namespace tdds
