#pragma once
// A device that is told of every op that is called on its streams, with its least work. Its convolution plans
// are those of another device.

#include <functional>

#include "kernels/ops/op_work.h"
#include "kernels/runtime/device.h"

namespace tdds {

class CountingDevice : public Device {
 public:
  // Has the kind and the plans of `plans`, which must outlive it.
  explicit CountingDevice(Device& plans);

  Device& plans() const { return plans_; }
  std::string description() const override { return plans_.description(); }
  DevicePeak peak(std::size_t largest_tensor) const override { return plans_.peak(largest_tensor); }
  bool has_branches() const override { return plans_.has_branches(); }
  bool uploads_ahead() const override { return plans_.uploads_ahead(); }
  bool allow_shared_memory(const void* kernel, std::size_t bytes) override {
    return plans_.allow_shared_memory(kernel, bytes);
  }

  // One call. `run` makes the same call on a stream of plans(), with the same addresses.
  virtual void op(Stream& stream, const OpWork& work, std::function<void(Stream&)> run) = 0;

 private:
  Device& plans_;
};

}  // namespace tdds
