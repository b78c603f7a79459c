#include "kernels/runtime/geometry.h"

#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::int64_t kMaxGridX = (std::int64_t{1} << 31) - 1;
constexpr std::uint32_t kMaxGridYz = 65535, kMaxBlockThreads = 1024, kMaxBlockZ = 64;

}  // namespace

void check_geometry(const char* kernel, const Dim3& grid, const Dim3& block, std::size_t shared_bytes,
                    std::size_t shared_limit) {
  check(grid.x > 0 && grid.y > 0 && grid.z > 0, "kernel {}: the grid {} x {} x {} is empty", kernel, grid.x,
        grid.y, grid.z);
  check(grid.x <= kMaxGridX && grid.y <= kMaxGridYz && grid.z <= kMaxGridYz,
        "kernel {}: the grid {} x {} x {} exceeds {} x {} x {}", kernel, grid.x, grid.y, grid.z, kMaxGridX,
        kMaxGridYz, kMaxGridYz);
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  check(threads > 0 && threads <= kMaxBlockThreads && block.x <= kMaxBlockThreads && block.z <= kMaxBlockZ,
        "kernel {}: a block of {} x {} x {} threads is not within 1 .. {} threads with at most {} in z",
        kernel, block.x, block.y, block.z, kMaxBlockThreads, kMaxBlockZ);
  check(threads % kWarpSize == 0, "kernel {}: a block of {} threads does not consist of whole warps of {}",
        kernel, threads, kWarpSize);
  check(shared_bytes <= shared_limit,
        "kernel {}: {} bytes of shared memory exceed the {} that its launches may ask for; call "
        "allow_shared_memory() where the plan is made",
        kernel, shared_bytes, shared_limit);
}

std::uint32_t blocks_for(std::int64_t n, std::int64_t per_block) {
  const std::int64_t blocks = ceil_div(n, per_block);
  check(n >= 0 && blocks <= kMaxGridX, "a grid of {} blocks exceeds {}", blocks, kMaxGridX);
  return static_cast<std::uint32_t>(blocks);
}

void reject(const char* kernel, const char* why) {
  throw Error(fmt::format("{}: {}", kernel, why));
}

}  // namespace tdds
