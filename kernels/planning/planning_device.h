#pragma once
// A device that allocates and runs nothing. It counts the memory that a training would allocate, and the
// bytes and operations of a step. Its convolution plans are the real plans of another device.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ops/conv2d.h"
#include "kernels/planning/counting_device.h"

namespace tdds {

// The least work of the commands of a stream: every operand of every op is read from or written to memory
// once.
struct Work {
  double bytes = 0;
  double conv_flops = 0;  // of convolutions, by their actual algorithm, in the compute type
  double fp32_flops = 0;  // of the linear layer
  double largest = 0;     // bytes of the largest operand of a convolution
};

// The least seconds that this work takes on a device: its arithmetic and its memory traffic at their peaks.
struct Floor {
  double rate;  // of the products of convolutions, per second
  double arithmetic, memory;

  double seconds() const { return std::max(arithmetic, memory); }
};
Floor floor_of(const Work& work, const DevicePeak& peak, DType compute, Conv2dMath math);

class PlanningDevice final : public CountingDevice {
 public:
  struct Allocation {
    std::string what;
    std::size_t bytes;
  };

  explicit PlanningDevice(Device& plans);

  // All allocations in order, including freed ones.
  const std::vector<Allocation>& allocated() const { return allocated_; }
  std::size_t allocated_bytes() const;
  // The work since the device was made; the caller may reset it.
  Work& work() { return work_; }

  void op(Stream& stream, const OpWork& work, std::function<void(Stream&)> run) override;
  // Returns an aligned address that must not be dereferenced.
  void* allocate(std::size_t bytes, std::string_view what) override;
  void free(void*) noexcept override {}
  std::int64_t allocations() const override { return static_cast<std::int64_t>(allocated_.size()); }
  // Downloads from the stream give zeros.
  std::unique_ptr<Stream> make_stream(StreamMode mode) override;

 private:
  std::vector<Allocation> allocated_;
  std::size_t next_;
  Work work_;
};

}  // namespace tdds
