#pragma once
// The primitives of kernels/gpu/gpu.h for nvcc. Included only by gpu.h, which documents them.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/cuda/command.h"
#include "kernels/numerics/half.h"
#include "kernels/runtime/device.h"

#define TDDS_GPU cuda

namespace tdds::cuda {

// Call sites are checked by the simt executor; the GPU ignores them.
struct Site {
  __device__ static constexpr Site current() { return {}; }
};

__device__ inline Dim3 thread_id() {
  return {threadIdx.x, threadIdx.y, threadIdx.z};
}
__device__ inline Dim3 block_id() {
  return {blockIdx.x, blockIdx.y, blockIdx.z};
}
__device__ inline Dim3 block_dim() {
  return {blockDim.x, blockDim.y, blockDim.z};
}
__device__ inline Dim3 grid_dim() {
  return {gridDim.x, gridDim.y, gridDim.z};
}

__device__ inline void sync_block(Site = {}) {
  __syncthreads();
}
__device__ inline void sync_warp(Site = {}) {
  __syncwarp();
}

template <class T>
__device__ T shuffle_xor(T value, int mask) {
  static_assert(sizeof(T) % sizeof(unsigned) == 0);
  unsigned words[sizeof(T) / sizeof(unsigned)];
  memcpy(words, &value, sizeof(T));
  for (unsigned& word : words) word = __shfl_xor_sync(0xFFFFFFFFu, word, mask);
  memcpy(&value, words, sizeof(T));
  return value;
}

template <Group G, class Op, class T>
__device__ T reduce(T value, Site = {}) {
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) value = Op::combine(value, shuffle_xor(value, mask));
  if constexpr (G == Group::kBlock) {
    __shared__ T of_warps[kWarpSize];
    const unsigned rank = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const unsigned lane = rank % kWarpSize, warps = blockDim.x * blockDim.y * blockDim.z / kWarpSize;
    if (lane == 0) of_warps[rank / kWarpSize] = value;
    __syncthreads();
    value = lane < warps ? of_warps[lane] : Op::template identity<T>();
    for (int mask = kWarpSize / 2; mask > 0; mask /= 2) value = Op::combine(value, shuffle_xor(value, mask));
    __syncthreads();  // the next reduction writes of_warps again
  }
  return value;
}

template <class T>
__device__ T* shared(std::size_t, std::size_t offset_bytes = 0) {
  extern __shared__ __align__(1024) uint4 memory[];  // tiles may rely on the alignment
  return reinterpret_cast<T*>(reinterpret_cast<char*>(memory) + offset_bytes);
}

template <class T>
struct alignas(16) Pack16 {
  static constexpr int kCount = 16 / sizeof(T);
  T v[kCount];
};

template <class T>
__device__ Pack16<T> load16(const T* from, Site = {}) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  Pack16<T> pack;
  memcpy(&pack, &bits, sizeof(pack));
  return pack;
}
template <class T>
__device__ void store16(T* to, const Pack16<T>& pack, Site = {}) {
  uint4 bits;
  memcpy(&bits, &pack, sizeof(bits));
  *reinterpret_cast<uint4*>(to) = bits;
}

__device__ inline float to_float(float value) {
  return value;
}
__device__ inline float to_float(half_t value) {
  return __half2float(__ushort_as_half(value.bits));
}
__device__ inline float to_float(bf16_t value) {
  return __bfloat162float(__ushort_as_bfloat16(value.bits));
}

template <class T>
__device__ T from_float(float value) {
  if constexpr (std::is_same_v<T, half_t>)
    return {__half_as_ushort(__float2half_rn(value))};
  else if constexpr (std::is_same_v<T, bf16_t>)
    return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
  else
    return value;
}

// CUDA's atomics take only these 4- and 8-byte integer types.
template <class T>
using AtomicWord = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;

template <class T>
__device__ T atomic_add(T* at, T value) {
  static_assert(std::is_integral_v<T> && sizeof(T) >= 4, "float atomics depend on the order of threads");
  using Word = AtomicWord<T>;
  return static_cast<T>(atomicAdd(reinterpret_cast<Word*>(at), static_cast<Word>(value)));
}
template <class T>
__device__ T atomic_or(T* at, T value) {
  static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
  using Word = AtomicWord<T>;
  return static_cast<T>(atomicOr(reinterpret_cast<Word*>(at), static_cast<Word>(value)));
}

__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

__device__ inline void fence_memory() {
  __threadfence();
}

__device__ inline float fast_exp(float x) {
  return __expf(x);
}
__device__ inline float fast_log(float x) {
  return __logf(x);
}

template <class... Types, class... Arguments>
void launch(Stream& stream, const char* name, void (*kernel)(Types...), Dim3 grid, Dim3 block,
            std::size_t shared_bytes, Arguments... arguments) {
  check_geometry(name, grid, block, shared_bytes,
                 stream.device().shared_memory_limit(reinterpret_cast<const void*>(kernel)));
  auto parameters = make_parameters(static_cast<const Parameters<Types...>*>(nullptr), arguments...);
  void* addresses[sizeof...(Types) + 1];
  parameters.addresses(addresses);
  CudaCommand command(stream, name);
  command.launch(reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, addresses);
}

}  // namespace tdds::cuda
