// What a GPU reaches at most: copies, reads from the second-level cache, and launches of tiny kernels.
//
// Parallel over: elements, 16 bytes per thread and access; a tick has one thread.
// Held in:       registers.
// Bytes per row: see bench/probe.h.
// Deterministic: a thread sums what it reads in a fixed order.

#include "bench/probe.h"

#include "kernels/gpu/gpu.h"
#include "kernels/ops/run.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 256;

__global__ void __launch_bounds__(kThreads) copy_probe_kernel(CopyProbe probe) {
  wait_for_previous();
  const std::int64_t i = 4 * global_thread();
  if (i < probe.n) store16(probe.to + i, load16(probe.from + i));
}

__global__ void __launch_bounds__(kThreads) read_probe_kernel(ReadProbe probe) {
  wait_for_previous();
  float sum = 0;
  // Each pass reads what other multiprocessors read in the last one, so that the first-level cache misses.
  constexpr std::int64_t kShift = 37 * kThreads;
  for (std::int32_t pass = 0; pass < probe.passes; ++pass)
    for (std::int64_t i = 4 * ((global_thread() + pass * kShift) % kReadThreads); i < probe.n;
         i += 4 * kReadThreads) {
      const Pack16<float> values = load16(probe.from + i);
      for (float value : values.v) sum += value;
    }
  probe.sums[global_thread()] = sum;
}

__global__ void __launch_bounds__(kWarpSize) tick_probe_kernel(TickProbe probe) {
  wait_for_previous();
  if (thread_id().x == 0) *probe.counter += 1;
}

}  // namespace

template <>
void run(Stream& stream, const CopyProbe& probe) {
  launch(stream, "copy_probe", copy_probe_kernel, {blocks_for(probe.n, 4 * kThreads)}, {kThreads}, 0, probe);
}

template <>
void run(Stream& stream, const ReadProbe& probe) {
  launch(stream, "read_probe", read_probe_kernel, {kReadBlocks}, {kThreads}, 0, probe);
}

template <>
void run(Stream& stream, const TickProbe& probe) {
  launch(stream, "tick_probe", tick_probe_kernel, {1}, {kWarpSize}, 0, probe);
}

}  // namespace tdds::TDDS_GPU
