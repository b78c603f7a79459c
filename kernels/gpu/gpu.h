#pragma once
// Everything that the CUDA kernels may use, and the only place that depends on the compiler. Each .cu file is
// compiled twice: by nvcc into namespace tdds::cuda, to run on a GPU, and by the host compiler into
// tdds::simt, to run in the executor of kernels/simt. Kernels use nothing of CUDA except the functions below,
// __global__, __device__ and __launch_bounds__. Sources start with
//
//     #include "kernels/gpu/gpu.h"
//     namespace tdds::TDDS_GPU {
//
// Implemented per compiler (gpu_device.h, simt/gpu_host.h):
//   wait_for_previous()                  the first statement of every kernel, which may start while the one
//                                        in front of it still runs. Until then it reads and writes no memory;
//                                        __restrict__ would allow the compiler to move reads before it.
//   Dim3 thread_id(), block_id(), block_dim(), grid_dim()
//   sync_block(), sync_warp()            barriers; every thread of the block or warp must reach the same one
//   T* shared<T>(count, offset_bytes)    the launch's shared memory, starting at a byte offset
//   Pack16<T>, load16(p), store16(p, v)  16 bytes at a time; p is aligned to 16 bytes
//   to_float(x), from_float<T>(x)        float, half_t, bf16_t; rounds to nearest even
//   atomic_add(p, x), atomic_or(p, x)    on integers; return the old value
//   fence_memory()                       only for last_of_group() below
//   fast_exp(x), fast_log(x)             a few ulp; expf, logf, log1pf, sqrtf and fmaf are available as usual
//   launch(stream, name, kernel, grid, block, shared_bytes, arguments...)
//                                        checks geometry.h's limits, converts and copies arguments, enqueues
//   The launch's shared memory is aligned to 1024 bytes. More than 48 KB must be allowed first:
//   bool allow_shared_memory(device, kernel, bytes)
//                                        where a plan is made, and not while a stream records; false where a
//                                        block cannot have so much: 227 KB on sm_90 and sm_100, 163 KB on
//                                        sm_80, 99 KB on sm_86, sm_89 and sm_120
//
// kernels/gpu/tensor_core.h adds tensor cores and asynchronous copies.
//
// The collectives below must be called by all threads of the group, from the same place in the code. Sums
// have a fixed order.

#include <cstddef>
#include <cstdint>

#include "kernels/gpu/parameters.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/geometry.h"
#include "kernels/runtime/tensor_view.h"

#ifdef __CUDACC__
#include "kernels/gpu/gpu_device.h"
#else
#include "kernels/simt/gpu_host.h"
#endif

namespace tdds::TDDS_GPU {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A value and its index in a row, for argmax.
struct ArgMax {
  float value;
  std::int32_t index;
};
inline constexpr ArgMax kNoArgMax{-kInfinity, std::numeric_limits<std::int32_t>::max()};

__device__ inline ArgMax argmax(ArgMax a, ArgMax b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

struct SumOp {
  template <class T>
  __device__ static T combine(T a, T b) {
    return a + b;
  }
  template <class T>
  __device__ static T identity() {
    return T{};
  }
};

struct MaxOp {
  template <class T>
  __device__ static T combine(T a, T b) {
    return b > a ? b : a;
  }
  template <class T>
  __device__ static T identity() {
    return -kInfinity;
  }
};

struct BestOp {
  template <class T>
  __device__ static T combine(T a, T b) {
    return argmax(a, b);
  }
  template <class T>
  __device__ static T identity() {
    return kNoArgMax;
  }
};

struct AnyOp {
  template <class T>
  __device__ static T combine(T a, T b) {
    return a | b;
  }
  template <class T>
  __device__ static T identity() {
    return 0;
  }
};

__device__ inline std::uint32_t rank_in_block() {
  return thread_id().x + block_dim().x * (thread_id().y + block_dim().y * thread_id().z);
}
__device__ inline std::uint32_t threads_in_block() {
  return block_dim().x * block_dim().y * block_dim().z;
}
// The index of the thread in a one-dimensional launch.
__device__ inline std::int64_t global_thread() {
  return static_cast<std::int64_t>(block_id().x) * block_dim().x + thread_id().x;
}

template <Group G>
__device__ std::uint32_t rank_in() {
  return G == Group::kWarp ? rank_in_block() % kWarpSize : rank_in_block();
}
template <Group G>
__device__ std::uint32_t size_of_group() {
  return G == Group::kWarp ? kWarpSize : threads_in_block();
}

template <Group G, class T>
__device__ T group_sum(T value, Site site = Site::current()) {
  return reduce<G, SumOp>(value, site);
}
template <Group G>
__device__ float group_max(float value, Site site = Site::current()) {
  return reduce<G, MaxOp>(value, site);
}
// The largest value; among equal values, the one with the lowest index.
template <Group G>
__device__ ArgMax group_argmax(ArgMax value, Site site = Site::current()) {
  return reduce<G, BestOp>(value, site);
}
template <Group G>
__device__ bool group_any(bool value, Site site = Site::current()) {
  return reduce<G, AnyOp>(static_cast<std::uint32_t>(value), site) != 0;
}

template <class T>
__device__ T warp_sum(T value, Site site = Site::current()) {
  return group_sum<Group::kWarp>(value, site);
}
__device__ inline float warp_max(float value, Site site = Site::current()) {
  return group_max<Group::kWarp>(value, site);
}
__device__ inline ArgMax warp_argmax(ArgMax value, Site site = Site::current()) {
  return group_argmax<Group::kWarp>(value, site);
}
__device__ inline bool warp_any(bool value, Site site = Site::current()) {
  return group_any<Group::kWarp>(value, site);
}
template <class T>
__device__ T block_sum(T value, Site site = Site::current()) {
  return group_sum<Group::kBlock>(value, site);
}

// Whether the block is the last of `count` blocks to call this with *ticket, which was 0 before the first of
// them did. Everything that these blocks wrote before is then visible to the threads of the last one. Which
// block is the last depends on the order of blocks, so its results must not. All threads of a block call it.
__device__ inline bool last_of_group(std::uint32_t* ticket, std::uint32_t count) {
  sync_block();
  bool last = false;
  if (rank_in_block() == 0) {
    fence_memory();  // the block's writes, which the barrier ordered before this, precede the ticket
    last = atomic_add(ticket, std::uint32_t{1}) == count - 1;
  }
  if (!group_any<Group::kBlock>(last)) return false;
  fence_memory();  // no read is served from a cache line of before the last ticket
  return true;
}

template <class... Types>
bool allow_shared_memory(Device& device, void (*kernel)(Types...), std::size_t bytes) {
  return device.allow_shared_memory(reinterpret_cast<const void*>(kernel), bytes);
}

// Calls function(T{}) with the storage type T of an activation or a gradient. Runs on the host, before a
// launch.
template <class Function>
void with_float_type(const char* kernel, DType type, Function function) {
  switch (type) {
    case DType::kF32:
      return function(float{});
    case DType::kF16:
      return function(half_t{});
    case DType::kBf16:
      return function(bf16_t{});
    default:
      reject(kernel, "the element type is not f32, f16 or bf16");
  }
}

}  // namespace tdds::TDDS_GPU
