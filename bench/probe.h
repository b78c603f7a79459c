#pragma once
// Kernels that measure the limits of a GPU. bench/probe.cu defines them for cuda and simt.

#include <cstdint>

namespace tdds {

// to[i] = from[i], 16 bytes per thread; n is a multiple of 4. Moves 8 n bytes.
struct CopyProbe {
  const float* from;
  float* to;
  std::int64_t n;
};

// Reads from[0 .. n-1] `passes` times; thread t of the launch writes the sum of what it read to sums[t].
// n is a multiple of 4 kReadThreads.
inline constexpr std::int64_t kReadBlocks = 1024, kReadThreads = kReadBlocks * 256;
struct ReadProbe {
  const float* from;
  float* sums;
  std::int64_t n;
  std::int32_t passes;
};

// *counter += 1, by one thread and without an atomic, so that a launch that does not wait for the one in
// front of it loses counts.
struct TickProbe {
  std::uint32_t* counter;
};

}  // namespace tdds
