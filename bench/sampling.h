#pragma once
// Times one op on a stream until the times agree.

#include <functional>
#include <vector>

#include "kernels/runtime/device.h"

namespace tdds {

struct SamplingLimits {
  double noise = 0.02;   // stop when the median is known to this share
  double seconds = 0.5;  // or after this time and one run
  bool warm_up = true;   // on a host, make one run before those that count
};

// Seconds of one run of an op.
struct Timing {
  double median = 0, least = 0;
  double noise = 0;  // half the interquartile range over the median
  int samples = 0;
};
Timing timing_of(std::vector<double> seconds);
// Of all rounds: the median of the medians of the rounds, and their noise.
Timing timing_of(const std::vector<std::vector<double>>& rounds);

// Memory that is larger than the last-level cache. Going through it leaves nothing else there.
class CacheFlush {
 public:
  explicit CacheFlush(Device& device);
  void enqueue(Stream& stream) const;
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  DeviceMemory memory_;
};

// Returns the seconds of each run. `prepare` runs before each of them and is not counted: on a host it runs
// before the clock starts, and on a GPU the time of recordings of `prepare` alone is subtracted. It may be
// empty.
std::vector<double> sample(Stream& stream, const std::function<void()>& prepare,
                           const std::function<void()>& run, const SamplingLimits& limits);

}  // namespace tdds
