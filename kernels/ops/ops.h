#pragma once
// The implementation of a device's ops. An op is a function declared in its header in this folder: it checks
// and copies the arguments, enqueues on the stream and returns. It throws Error for arguments that break its
// contract.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace tdds {

class Conv2d;
struct Conv2dCall;
struct Conv2dSpec;
class Device;
class Linear;
struct LinearSpec;
struct TimedConvPlan;

// The kernels (kernels/ops/run.h) that run the hand-written ops.
enum class Kernels {
  kNone,  // the device only makes plans
  kCpu,
  kSimt,
  kSimtCounted,  // the same, compiled so that their accesses are counted (kernels/runtime/kernel_counters.h)
  kCuda,
  kCounted  // the device is told of each call (kernels/planning/counting_device.h)
};

struct Ops {
  Kernels kernels = Kernels::kNone;
  // Ops that a library computes; called through the functions of their headers.
  std::unique_ptr<Conv2d> (*make_conv2d)(Device&, const Conv2dSpec&) = nullptr;
  std::unique_ptr<Linear> (*make_linear)(Device&, const LinearSpec&) = nullptr;
  std::size_t (*sort_workspace_bytes)(std::int64_t n) = nullptr;  // null: no workspace is needed
  std::vector<TimedConvPlan> (*time_conv2d_plans)(Device&, const Conv2dCall&) = nullptr;  // null: no choice
};

}  // namespace tdds
