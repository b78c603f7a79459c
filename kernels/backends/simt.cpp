#include "kernels/backends/backend.h"
#include "kernels/cpu/plans.h"
#include "kernels/ops/run.h"
#include "kernels/ops/sort.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"

namespace tdds {
namespace {

std::unique_ptr<Device> make_simt(DeviceKind kind, const Ops& ops, const DeviceOptions& options) {
  if (!options.count_accesses) return make_host_device(kind, ops, options);
  check(TDDS_HAVE_COUNTED_KERNELS,
        "this build cannot count the accesses of kernels: build it with g++ and without sanitizers");
  static const Ops kCounted{Kernels::kSimtCounted, ops.make_conv2d, ops.make_linear};
  return make_host_device(kind, kCounted, options);
}

}  // namespace

// Ops that a library computes on the GPU (convolution, the linear layer, sorting) use the CPU's
// implementation. A convolution of 16-bit operands is computed in fp32 and rounded once, as on a GPU.
Backend simt_backend() {
  static constexpr Ops kOps{Kernels::kSimt, cpu::make_widened_conv2d, cpu::make_linear};
  return {&kOps, nullptr, make_simt};
}

template <>
void simt::run(Stream& stream, const SortArgs& args) {
  enqueue(stream, "sort_by_score", args, cpu::run<SortArgs>);
}
template <>
void simt_counted::run(Stream& stream, const SortArgs& args) {
  simt::run(stream, args);
}

}  // namespace tdds
