#pragma once
// The shape of a kernel launch, and the limits common to every GPU of compute capability 8.0 or later (CUDA
// C++ Programming Guide, "Compute Capabilities"). The same checks apply on the GPU and in the simt executor.

#include <cstddef>
#include <cstdint>

namespace tdds {

struct Dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
};

// The threads that take part in a collective operation of a kernel.
enum class Group { kWarp, kBlock };

inline constexpr std::uint32_t kWarpSize = 32;
inline constexpr std::size_t kMaxSharedBytes = 48 * 1024;  // the limit without opt-in
inline constexpr std::size_t kMostSharedBytes =
    227 * 1024;  // the limit with opt-in on any GPU (sm_90, sm_100)

// Throws Error unless every extent is >= 1, grid.x < 2^31, grid.y and grid.z <= 65535, the block consists of
// whole warps and at most 1024 threads (64 in z), and shared_bytes <= shared_limit.
void check_geometry(const char* kernel, const Dim3& grid, const Dim3& block, std::size_t shared_bytes,
                    std::size_t shared_limit = kMaxSharedBytes);

// The number of blocks of `per_block` that cover n >= 0 items. Throws Error where that exceeds a grid.
std::uint32_t blocks_for(std::int64_t n, std::int64_t per_block);

// Throws Error "<kernel>: <why>". For kernel sources, which cannot include kernels/runtime/check.h.
[[noreturn]] void reject(const char* kernel, const char* why);

}  // namespace tdds
