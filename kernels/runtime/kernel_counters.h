#pragma once
// What each kernel did on the device simt, counted over all of its launches (DeviceOptions::count_accesses).
// docs/measuring.md says how to read it.
//
// A request is what a GPU's warp does at once: the accesses of its lanes from one place in the code, each
// lane's n-th one there since the last barrier of the block or warp. What the compiler keeps in registers,
// the threads' own variables and the kernel's parameters are no accesses.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace tdds {

// Requests to the device's memory. Memory moves in sectors of 32 bytes at multiples of 32.
struct GlobalRequests {
  std::int64_t requests = 0;
  std::int64_t lanes = 0;    // that took part, summed over the requests
  std::int64_t sectors = 0;  // that the lanes of a request touch, each counted once in a request
  std::int64_t bytes = 0;    // likewise
};

// Requests to a block's shared memory. It has 32 banks of 4-byte words. A bank serves one word in a pass, to
// any number of lanes. A request of 8 bytes a lane is served by halves of a warp, one of 16 by quarters.
struct SharedRequests {
  std::int64_t requests = 0;
  std::int64_t lanes = 0;
  std::int64_t conflicts = 0;  // passes beyond one for each part of the warp that has lanes
};

struct KernelCounters {
  std::string name, file;          // of the launch
  const void* function = nullptr;  // the kernel, and
  std::string symbol;              // its mangled name; empty in a program without symbols
  std::uint32_t threads = 0;       // of a block, and
  std::size_t shared_bytes = 0;    // its shared memory: the most of all launches
  std::int64_t launches = 0, blocks = 0;
  GlobalRequests loads = {}, stores = {};
  SharedRequests shared = {};
  std::int64_t atomics = 0;     // operations of threads
  std::int64_t barriers = 0;    // of blocks; a sum or the like has two, as on a GPU
  std::int64_t warp_waits = 0;  // barriers and sums of warps
  std::int64_t mma = 0;         // products of matrices on tensor cores, 16 x 16 by 16 x 8; of warps
};

// In the order of the first launches. Launches that wait in a queue refer to their row, which stays.
using KernelCounts = std::deque<KernelCounters>;

// Starts counting again.
inline void clear(KernelCounts& counts) {
  for (KernelCounters& row : counts)
    row = {.name = row.name, .file = row.file, .function = row.function, .symbol = row.symbol};
}

}  // namespace tdds
