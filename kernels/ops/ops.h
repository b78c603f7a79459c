#pragma once
// What runs the ops of a device. An op is a function of its header in this folder: it checks the arguments,
// enqueues on the stream and returns; the arguments are copied. It throws Error for arguments that break its
// contract.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tdds {

class Conv2d;
struct Conv2dSpec;
class Device;
class Linear;
struct LinearSpec;

// Whose kernels (kernels/ops/run.h) run the ops that are written by hand.
enum class Kernels {
  kNone,  // of a device that only makes plans
  kCpu,
  kSimt,
  kCuda,
  kCounted  // nothing runs; a planning device counts
};

struct Ops {
  Kernels kernels = Kernels::kNone;
  // What a library computes; called through the functions of the ops' headers.
  std::unique_ptr<Conv2d> (*make_conv2d)(Device&, const Conv2dSpec&) = nullptr;
  std::unique_ptr<Linear> (*make_linear)(Device&, const LinearSpec&) = nullptr;
  std::size_t (*sort_workspace_bytes)(std::int64_t n) = nullptr;  // null: none is needed
};

}  // namespace tdds
