#include <optional>

#include "kernels/backends/backend.h"
#include "kernels/cpu/plans.h"
#include "kernels/ops/own_conv2d.h"
#include "kernels/ops/run.h"
#include "kernels/ops/sort.h"
#include "kernels/ranks/host_collectives.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"

namespace tdds {
namespace {

template <class Args>
void run_kernels(Stream& stream, const Args& args) {
  if (stream.device().ops().kernels == Kernels::kSimt) return simt::run(stream, args);
  if constexpr (TDDS_HAVE_COUNTED_KERNELS) simt_counted::run(stream, args);
}
bool prepare(Device& device, const Conv3x3Shape& shape, Conv3x3Direction direction, Conv3x3Tile tile) {
  if (device.ops().kernels == Kernels::kSimt) return simt::prepare_conv3x3(device, shape, direction, tile);
  if constexpr (TDDS_HAVE_COUNTED_KERNELS)
    return simt_counted::prepare_conv3x3(device, shape, direction, tile);
  return false;
}

std::optional<Conv3x3Tile> first_tile(Device& device, const Conv2dSpec& spec, Conv3x3Direction direction) {
  for (const Conv3x3Tile tile : conv3x3_tiles(spec, direction, kMostSharedBytes))
    if (prepare(device, conv3x3_shape(spec), direction, tile)) return tile;
  return std::nullopt;
}

std::unique_ptr<Conv2d> make_own_conv2d(Device& device, const Conv2dSpec& spec) {
  Conv3x3Tiles tiles;
  tiles.forward = first_tile(device, spec, Conv3x3Direction::kForward);
  if (spec.backward && spec.data_gradient != GradientMode::kSkip)
    tiles.data = tiles.accumulate = first_tile(device, spec, Conv3x3Direction::kData);
  return with_own_kernels(cpu::make_widened_conv2d(device, spec),
                          {run_kernels<Conv3x3ForwardArgs>, run_kernels<Conv3x3DataArgs>}, tiles);
}

std::unique_ptr<Device> make_simt(DeviceKind kind, const Ops&, const DeviceOptions& options) {
  check(TDDS_HAVE_COUNTED_KERNELS || !options.count_accesses,
        "this build cannot count the accesses of kernels: build it with g++ and without sanitizers");
  static constexpr auto kMake = [](Kernels kernels, bool own) {
    return Ops{kernels, own ? make_own_conv2d : cpu::make_widened_conv2d, cpu::make_linear};
  };
  static constexpr Ops kPlain[] = {kMake(Kernels::kSimt, false), kMake(Kernels::kSimt, true)};
  static constexpr Ops kCounted[] = {kMake(Kernels::kSimtCounted, false), kMake(Kernels::kSimtCounted, true)};
  const Ops* all = options.count_accesses ? kCounted : kPlain;
  return make_host_device(kind, all[options.own_convolutions == OwnConvolutions::kAlways ? 1 : 0], options);
}

}  // namespace

// Ops that a library computes on the GPU (convolution, the linear layer, sorting) use the CPU's
// implementation. A convolution of 16-bit operands is computed in fp32 and rounded once, as on a GPU. Those
// with 3x3 filters are the GPU's own kernels if the options ask for them.
Backend simt_backend() {
  static constexpr Ops kOps{Kernels::kSimt, cpu::make_widened_conv2d, cpu::make_linear};
  return {&kOps, nullptr, make_simt, make_host_collectives};
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
