#pragma once
// The order in which the simt executor runs the blocks of a kernel and the threads of a block. A correct
// kernel gives the same bits in every order. A missing barrier may not show in forward order, but gives a
// wrong result in reverse.

#include <cstdint>

namespace tdds::simt {

struct Schedule {
  enum class Order { kForward, kReversed, kShuffled };
  Order order = Order::kForward;
  std::uint64_t seed = 0;  // for kShuffled
};

// Sets the order for kernels that the calling thread executes while this object exists, then restores the
// former one.
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
