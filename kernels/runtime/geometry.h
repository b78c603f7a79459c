#pragma once
// The shape of a kernel launch, and the limits that every GPU of compute capability 8.0 or later shares
// (CUDA C++ Programming Guide, "Compute Capabilities"). Checked alike for the GPU and the simt executor.

#include <cstddef>
#include <cstdint>

namespace tdds {

struct Dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
};

// Who takes part in a collective operation of a kernel.
enum class Group { kWarp, kBlock };

inline constexpr std::uint32_t kWarpSize = 32;
inline constexpr std::size_t kMaxSharedBytes = 48 * 1024;  // what needs no opt-in

// Throws Error unless every extent is >= 1, grid.x < 2^31, grid.y and grid.z <= 65535, the block is of whole
// warps and of at most 1024 threads (64 in z), and shared_bytes <= kMaxSharedBytes.
void check_geometry(const char* kernel, const Dim3& grid, const Dim3& block, std::size_t shared_bytes);

// How many blocks of `per_block` cover n >= 0 items. Throws Error where that exceeds a grid.
std::uint32_t blocks_for(std::int64_t n, std::int64_t per_block);

// Throws Error "<kernel>: <why>". Kernel sources use it, since they cannot include kernels/check.h.
[[noreturn]] void reject(const char* kernel, const char* why);

}  // namespace tdds
