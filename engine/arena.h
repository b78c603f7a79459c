#pragma once
// An arena plans memory. Binding code takes its buffers from it twice: first in a dry run, which only
// measures, and then, after place(), from one allocation of the measured size. Several bindings (one per
// batch size) may share an arena: each starts at the beginning, and the arena is as large as the largest.

#include <algorithm>
#include <cstddef>
#include <string>

#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {

class Arena {
 public:
  // The alignment of every buffer. Vector accesses and library calls rely on it.
  static constexpr std::size_t kAlignment = 256;

  explicit Arena(std::string what) : what_(std::move(what)) {}

  // Starts a binding over the same bytes.
  void begin() { used_ = 0; }

  // The next `bytes`, or null while dry.
  void* take(std::size_t bytes) {
    const std::size_t start = used_;
    used_ += round_up(bytes, kAlignment);
    if (!memory_.data()) {
      measured_ = std::max(measured_, used_);
      return nullptr;
    }
    check(used_ <= measured_, "arena '{}': a binding takes {} bytes, but {} were measured", what_, used_,
          measured_);
    return memory_.get<std::byte>() + start;
  }
  template <class T>
  T* take_array(std::size_t count) {
    return static_cast<T*>(take(count * sizeof(T)));
  }

  // Ends the dry run and allocates the measured size.
  void place(Device& device) { memory_ = DeviceMemory(device, std::max<std::size_t>(measured_, 1), what_); }

  std::size_t bytes() const { return measured_; }
  const std::string& what() const { return what_; }

 private:
  std::string what_;
  std::size_t used_ = 0, measured_ = 0;
  DeviceMemory memory_;
};

}  // namespace tdds
