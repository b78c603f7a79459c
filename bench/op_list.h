#pragma once
// The ops that bench_kernels measures: every call of a network's training step, found by tracing one, and the
// ops that no step of it makes.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/precision.h"
#include "kernels/ops/linear.h"
#include "kernels/planning/tracing_device.h"

namespace tdds {

struct BenchNet {
  std::string arch = "resnet18";
  double width = 1;
  std::int32_t batch = 128, image = 32, classes = 100;
  ConvAlgo conv_algo = ConvAlgo::kAuto;  // on a CPU
};

struct BenchOp {
  std::string name;  // "conv2d_forward/layer1.0.conv1"
  TracedOp op;
  std::string shape;  // op_shape()
  int calls = 0;      // of this op and shape in a training step; 0 if a step makes none
};

// The ops of one device and precision, with the memory that they work on.
class OpList {
 public:
  OpList(Device& device, const BenchNet& net, PrecisionKind precision);
  ~OpList();

  const std::vector<BenchOp>& ops() const { return ops_; }
  // Undoes what a run of an op changes besides its results: the position in the epoch, and the tickets of
  // blocks. Enqueues nothing for most ops; needs_undo() says for which it does.
  void undo(const BenchOp& op, Stream& stream) const;
  bool needs_undo(const BenchOp& op) const;
  // Moves the operands of all ops to other pages of the host's memory, under the same addresses and with the
  // same content. On a GPU they stay where they are. Not while an op runs.
  void move_memory();

 private:
  struct Workload;
  // only: the beginning of the names to add.
  void add(const std::vector<TracedOp>& traced, bool of_step, std::string_view only = "");

  TracingDevice device_;
  std::unique_ptr<Workload> workload_;
  std::vector<BenchOp> ops_;
};

// What the calls of call_other_ops() refer to.
struct OtherOps {
  std::vector<DeviceMemory> memory;
  std::unique_ptr<Linear> linear;
};
// Calls on a tracing stream the ops that a step of a CIFAR network does not make, in `dtype`.
OtherOps call_other_ops(TracingDevice& device, Stream& stream, DType dtype);

}  // namespace tdds
