#pragma once
// A device that runs ops on another device and keeps a list of the calls, so that each can be made again by
// itself, with the memory that it had.

#include <functional>
#include <string>
#include <vector>

#include "kernels/planning/counting_device.h"

namespace tdds {

// A call that was made. `run` makes it again, with the same addresses.
struct TracedOp {
  OpWork work;
  std::string layer;  // the range in which it was called: "layer1.0.conv1", or empty
  std::function<void(Stream&)> run;
};

class TracingDevice final : public CountingDevice {
 public:
  // Memory, streams and results are those of `device`.
  explicit TracingDevice(Device& device) : CountingDevice(device) {}

  // The calls since the device was made; the caller may clear them.
  std::vector<TracedOp>& ops() { return ops_; }

  // The memory that was allocated for `what`; null if there is none.
  struct Allocation {
    std::string what;
    void* memory;
    std::size_t bytes;
  };
  const Allocation* find(std::string_view what) const;
  // All that is allocated.
  const std::vector<Allocation>& memory() const { return allocated_; }

  void op(Stream& stream, const OpWork& work, std::function<void(Stream&)> run) override;
  void* allocate(std::size_t bytes, std::string_view what) override;
  void free(void* memory) noexcept override;
  std::int64_t allocations() const override { return plans().allocations(); }
  // Its streams run every command immediately and cannot record.
  std::unique_ptr<Stream> make_stream(StreamMode mode) override;

 private:
  std::vector<TracedOp> ops_;
  std::vector<Allocation> allocated_;
};

}  // namespace tdds
