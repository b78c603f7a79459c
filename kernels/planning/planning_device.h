#pragma once
// A device that allocates and runs nothing and counts instead: what the code of a training would take in
// memory, and what a step would move and multiply. Convolution plans are another device's, and real.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "kernels/runtime/device.h"

namespace tdds {

// What the commands of a stream would do at least: every operand of every op is read or written once, from
// memory and not from a cache.
struct Work {
  double bytes = 0;
  double conv_flops = 0;  // of convolutions, as their algorithm multiplies: in the compute type
  double fp32_flops = 0;  // of the linear layer
  double largest = 0;     // bytes of the largest operand of a convolution
};

class PlanningDevice final : public Device {
 public:
  struct Allocation {
    std::string what;
    std::size_t bytes;
  };

  // Its kind, and its plans, are those of `plans`, which must outlive it.
  explicit PlanningDevice(Device& plans);

  Device& plans() const { return plans_; }
  const std::vector<Allocation>& allocated() const {
    return allocated_;
  }  // in the order of asking, freed ones too
  std::size_t allocated_bytes() const;
  // Counted since the device was made; free to be reset.
  Work& work() { return work_; }

  std::string description() const override { return plans_.description(); }
  DevicePeak peak(std::size_t largest_tensor) const override { return plans_.peak(largest_tensor); }
  // An address that is aligned as promised and must not be touched.
  void* allocate(std::size_t bytes, std::string_view what) override;
  void free(void*) noexcept override {}
  std::int64_t allocations() const override { return static_cast<std::int64_t>(allocated_.size()); }
  // Downloads give zeros.
  std::unique_ptr<Stream> make_stream(StreamMode mode) override;

 private:
  Device& plans_;
  std::vector<Allocation> allocated_;
  std::size_t next_;
  Work work_;
};

}  // namespace tdds
