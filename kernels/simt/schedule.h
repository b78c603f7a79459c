#pragma once
// In which order the simt executor runs the blocks of a kernel and the threads of a block. A right kernel
// gives equal bits in every order; a missing barrier is invisible forward and wrong reversed.

#include <cstdint>

namespace tdds::simt {

struct Schedule {
  enum class Order { kForward, kReversed, kShuffled };
  Order order = Order::kForward;
  std::uint64_t seed = 0;  // of kShuffled
};

// The order of kernels that the calling thread executes while this lives; then the former one again.
class ScheduleScope {
 public:
  explicit ScheduleScope(Schedule schedule);
  ~ScheduleScope();
  ScheduleScope(const ScheduleScope&) = delete;
  ScheduleScope& operator=(const ScheduleScope&) = delete;

 private:
  Schedule former_;
};

}  // namespace tdds::simt
