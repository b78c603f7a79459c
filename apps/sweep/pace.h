#pragma once

#include <fmt/format.h>

#include <string>

#include "apps/cli/progress.h"

namespace tdds {

// Estimates the time left from the work done since the start. Work is counted in images passed through the
// network; test images count a third, because they have no backward pass.
class Pace {
 public:
  void expect(double work) { left_ += work; }
  void done(double work, double seconds) {
    left_ -= work;
    work_ += work;
    seconds_ += seconds;
  }
  // "about 0:12:30 left", or "" while that is unknown.
  std::string left_text() const {
    return work_ > 0 && left_ > 0 ? fmt::format("about {} left", clock_text(left_ / work_ * seconds_)) : "";
  }

 private:
  double left_ = 0, work_ = 0, seconds_ = 0;
};

}  // namespace tdds
