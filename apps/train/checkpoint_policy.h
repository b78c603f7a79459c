#pragma once
// When a run saves a checkpoint: often enough that a kill loses little, and rarely enough that saving takes a
// small share of the time, even if an epoch is shorter than writing its weights.

#include <chrono>

namespace tdds {

class CheckpointPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  // `longest`: --checkpoint_minutes; 0 saves always.
  CheckpointPolicy(Seconds longest, Clock::time_point start) : longest_(longest), saved_(start) {}

  // Whether to save in the middle of an epoch.
  bool due(Clock::time_point now) const { return now - saved_ >= longest_; }
  // Whether to save at the end of an epoch: always, unless the last save took more than 1/20 of the time
  // since.
  bool due_at_end_of_epoch(Clock::time_point now) const { return due(now) || now - saved_ >= 20 * took_; }
  // Call it after a save.
  void saved(Clock::time_point begin, Clock::time_point end) {
    took_ = end - begin;
    saved_ = end;
  }

 private:
  Seconds longest_, took_{0};
  Clock::time_point saved_;
};

}  // namespace tdds
