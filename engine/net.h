#pragma once
// The interface between a network and the engine. nets/ implements it.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/arena.h"
#include "engine/layer.h"
#include "engine/params.h"
#include "engine/statistics_exchange.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/runtime/device.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

struct PassSpec {
  std::int32_t batch;
  DType compute = DType::kF32;
  bool train = true;                     // false: inference with the running statistics, no backward
  Conv2dMath math = Conv2dMath::kExact;  // kTf32 with kF32: the precision tf32
  ConvAlgo algo = ConvAlgo::kAuto;       // on a CPU
  std::int32_t full_batch = 0;           // of a short last batch: the size of the others
  WholeBatch whole = {};                 // in training: of which batch norm takes the statistics

  bool operator==(const PassSpec&) const = default;
};

// The parameters from these offsets of Params::filters() and vectors() on, to their ends.
struct GradientMark {
  std::int64_t filters = 0, vectors = 0;
};

// The network at one batch size: a visible list of calls and, in backward, its mirror image. A pass is made
// once, with all its plans. It is bound twice, dry and placed. After that, forward and backward only
// enqueue.
class Pass {
 public:
  virtual ~Pass() = default;

  // `saved` holds buffers that backward reads; `scratch` holds buffers of one call; `tickets` is the memory
  // of tickets(). Each starts from the beginning.
  virtual void bind(Arena& saved, Arena& scratch, Arena& tickets) = 0;

  virtual TensorView input() const = 0;       // [B,H,W,C] of the compute type, filled by the caller
  virtual float* logits() const = 0;          // [B,K] fp32
  virtual float* dlogits() const = 0;         // [B,K] fp32: backward() reads it; null in inference
  virtual const float* features() const = 0;  // [B,F] fp32: the inputs of the last layer
  // Counters of GPU kernels: the caller sets them to 0 before each forward(). Empty in inference.
  virtual std::span<std::uint32_t> tickets() const = 0;

  // With a loss, the head also computes it: `softmax` names everything but the logits and their gradient,
  // which are the pass's. A training pass without one leaves dlogits to the caller.
  struct Loss {
    SoftmaxKlArgs softmax;
    float* feature_norm = nullptr;  // [N] by sample id, or null
  };
  virtual void forward(Stream& stream, const Loss* loss = nullptr) = 0;
  // Overwrites every gradient. Calls reached(i), if it is not empty, where the gradients from
  // Net::gradient_marks()[i] on are enqueued; forks made there come after them. All forks are joined at the
  // end.
  virtual void backward(Stream& stream, const std::function<void(std::size_t mark)>& reached = {}) = 0;

  virtual std::vector<ConvolutionPlan> plans() const = 0;
};

class Net {
 public:
  virtual ~Net() = default;
  virtual const std::string& name() const = 0;
  virtual std::int32_t classes() const = 0;
  virtual std::int32_t features() const = 0;        // F
  virtual std::int32_t input_channels() const = 0;  // C of input(): 3, or more with zeros
  virtual double forward_macs() const = 0;          // multiply-adds of one image's forward pass
  // Of a backward pass, in the order in which it reaches them; the last is 0, 0.
  virtual std::vector<GradientMark> gradient_marks() const = 0;
  // C of each batch norm in the order of forward(); backward() takes them in the reverse order.
  virtual std::vector<std::int32_t> norm_channels() const = 0;
  virtual Params& params() = 0;
  virtual std::unique_ptr<Pass> make_pass(Device& device, const PassSpec& spec) = 0;
};

}  // namespace tdds
