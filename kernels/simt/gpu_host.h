#pragma once
// The primitives of kernels/gpu/gpu.h for the host compiler: kernels run in the executor of this folder.
// Included only by gpu.h, which documents them. With TDDS_COUNT_ACCESSES and -fsanitize=thread, kernels are
// the copy whose accesses are counted. It shares no inline function with the other one.

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/numerics/half_convert.h"
#include "kernels/runtime/host_stream.h"
#include "kernels/simt/async_copies.h"
#include "kernels/simt/executor.h"
#include "kernels/simt/launch_counters.h"

#ifdef TDDS_COUNT_ACCESSES
#define TDDS_GPU simt_counted
#define __global__ [[gnu::flatten]]  // as on a GPU: then each place in the code belongs to one call
#else
#define TDDS_GPU simt
#define __global__
#endif
#define __device__
#define __launch_bounds__(...)

namespace tdds::TDDS_GPU {

using namespace simt;

// On a GPU these are registers: they keep their value in a thread, and reading them is not counted.
[[gnu::const, gnu::no_sanitize_thread]] inline Dim3 thread_id() {
  return current_thread->thread;
}
[[gnu::const, gnu::no_sanitize_thread]] inline Dim3 block_id() {
  return current_thread->block;
}
[[gnu::const, gnu::no_sanitize_thread]] inline Dim3 block_dim() {
  return current_thread->block_dim;
}
[[gnu::const, gnu::no_sanitize_thread]] inline Dim3 grid_dim() {
  return current_thread->grid_dim;
}

inline void sync_block(const Site& site = Site::current()) {
  collective(Group::kBlock, Meeting::kBarrier, nullptr, nullptr, site);
}
inline void sync_warp(const Site& site = Site::current()) {
  collective(Group::kWarp, Meeting::kBarrier, nullptr, nullptr, site);
}

// Combines kWarpSize lanes pairwise in the order of the GPU's shuffles, so that sums have the same bits.
template <class Op, class T>
T combine_warp(T* lanes) {
  for (std::uint32_t half = kWarpSize / 2; half > 0; half /= 2)
    for (std::uint32_t i = 0; i < half; ++i) lanes[i] = Op::combine(lanes[i], lanes[i + half]);
  return lanes[0];
}

template <class Op, class T>
void combine_values(void* const* values, std::uint32_t count) {
  T warps[kWarpSize];
  for (T& warp : warps) warp = Op::template identity<T>();
  for (std::uint32_t first = 0; first < count; first += kWarpSize) {
    T lanes[kWarpSize];
    for (std::uint32_t i = 0; i < kWarpSize; ++i) lanes[i] = *static_cast<const T*>(values[first + i]);
    warps[first / kWarpSize] = combine_warp<Op>(lanes);
  }
  const T result = count == kWarpSize ? warps[0] : combine_warp<Op>(warps);
  for (std::uint32_t i = 0; i < count; ++i) *static_cast<T*>(values[i]) = result;
}

template <Group G, class Op, class T>
T reduce(T value, const Site& site) {
  collective(G, Meeting::kReduction, &value, combine_values<Op, T>, site);
  return value;
}

template <class T>
T* shared(std::size_t count, std::size_t offset_bytes = 0) {
  return static_cast<T*>(shared_memory(offset_bytes, count * sizeof(T), alignof(T)));
}

template <class T>
struct alignas(16) Pack16 {
  static constexpr int kCount = 16 / sizeof(T);
  T v[kCount];
};

[[gnu::no_sanitize_thread]] inline void check_access16(const void* at, const Site& site) {
  if (reinterpret_cast<std::uintptr_t>(at) % 16 != 0) fail_misaligned(at, site);
  if (copies_in_use) check_no_copy(at, site);
}

template <class T>
Pack16<T> load16(const T* from, const Site& site = Site::current()) {
  check_access16(from, site);
  Pack16<T> pack;
  std::memcpy(&pack, from, sizeof(pack));
  return pack;
}
template <class T>
void store16(T* to, const Pack16<T>& pack, const Site& site = Site::current()) {
  check_access16(to, site);
  std::memcpy(to, &pack, sizeof(pack));
}

template <class T>
T atomic_add(T* at, T value) {
  static_assert(std::is_integral_v<T>, "float atomics depend on the order of threads");
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
template <class T>
T atomic_or(T* at, T value) {
  static_assert(std::is_integral_v<T>);
  return __atomic_fetch_or(at, value, __ATOMIC_RELAXED);
}

inline void wait_for_previous() {}  // kernels run one after the other
inline void fence_memory() {}       // blocks run one after the other

inline float fast_exp(float x) {
  return std::exp(x);
}
inline float fast_log(float x) {
  return std::log(x);
}

// The part of a launch that is stored in a command.
template <class... Types>
struct Launch {
  Kernel kernel;
  void (*function)(Types...);
  Parameters<Types...> parameters;
};

template <class... Types, class... Arguments>
void launch(Stream& stream, LaunchName name, void (*kernel)(Types...), Dim3 grid, Dim3 block,
            std::size_t shared_bytes, Arguments... arguments) {
  check_geometry(name.text, grid, block, shared_bytes,
                 stream.device().shared_memory_limit(reinterpret_cast<const void*>(kernel)));
  using Call = Launch<Types...>;
  KernelCounters* counters = counters_of(stream.device(), name, reinterpret_cast<const void*>(kernel));
  const Call call{{name.text, grid, block, shared_bytes, counters},
                  kernel,
                  make_parameters(static_cast<const Parameters<Types...>*>(nullptr), arguments...)};
  enqueue<Call>(stream, name.text, call, [](const Call& queued) {
    execute(
        queued.kernel,
        [](const void* bytes) {
          const Call& running = *static_cast<const Call*>(bytes);
          running.parameters.call(running.function);
        },
        &queued, sizeof(queued));
  });
}

}  // namespace tdds::TDDS_GPU
