#pragma once
// 2-d convolution (cross-correlation, as PyTorch's conv2d) without bias, with equal stride and padding in
// both dimensions:
//
//   y[b,p,q,k]  = sum_{r,s,c} x[b, p*stride + r - padding, q*stride + s - padding, c] * w[k,r,s,c]
//   dx          = the gradient of sum(y * dy) with respect to x
//   dw          = the gradient of sum(y * dy) with respect to w
//
// x [B,H,W,C], w [K,R,S,C], y [B,P,Q,K]; dx, dw and dy have the shapes of x, w and y. All are of spec.dtype.
// A plan is built once, outside the training loop; running it enqueues work and allocates nothing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ops/batchnorm.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Device;
class Stream;

// Precision of products of kF32 operands. kTf32 allows, but does not require, rounding the operands to TF32
// (10 bits of mantissa) where tensor cores support it; sums stay fp32. No effect on other types.
enum class Conv2dMath : std::uint8_t { kExact, kTf32 };

// The algorithm on a CPU. No effect on a GPU.
enum class ConvAlgo : std::uint8_t {
  kAuto,     // the faster of the two, chosen by a rule over the shape and the type
  kDirect,   // by the definition
  kWinograd  // F(4x4, 3x3) for fp32 3x3 filters with stride 1 and padding 1, direct for the others
};
inline constexpr std::array kConvAlgos{ConvAlgo::kAuto, ConvAlgo::kDirect, ConvAlgo::kWinograd};
const char* to_string(ConvAlgo algo);  // "auto", "direct", "winograd"

// How backward_data() will be called. A GPU needs separate plans for dx = and dx += and makes only those
// asked for. No effect on a CPU.
enum class GradientMode : std::uint8_t { kSkip, kOverwrite, kAccumulate, kBoth };

struct Conv2dSpec {
  std::int32_t batch, height, width, channels;    // x [B,H,W,C]
  std::int32_t out_channels, filter_h, filter_w;  // w [K,R,S,C]
  std::int32_t stride = 1, padding = 0;
  DType dtype = DType::kF32;
  bool backward = true;  // false: an inference plan; backward_* must not be called
  Conv2dMath math = Conv2dMath::kExact;
  ConvAlgo algo = ConvAlgo::kAuto;
  GradientMode data_gradient = GradientMode::kBoth;
  // Of the last, short batch of an epoch: the size of the others. On a GPU it takes their plan where that
  // supports it.
  std::int32_t full_batch = 0;

  std::int32_t out_height() const { return (height + 2 * padding - filter_h) / stride + 1; }
  std::int32_t out_width() const { return (width + 2 * padding - filter_w) / stride + 1; }
};

// dx = ... and dx += ... have different plans on a GPU.
enum class ConvDirection : std::uint8_t { kForward, kData, kDataAccumulate, kFilter };
inline constexpr std::array kConvDirections{ConvDirection::kForward, ConvDirection::kData,
                                            ConvDirection::kDataAccumulate, ConvDirection::kFilter};

struct Conv2dCall {
  Conv2dSpec spec;
  ConvDirection direction;
};

// A direction of a convolution and the implementation that computes it.
struct ServedDirection {
  std::string direction, by;
};
std::string to_string(const std::vector<ServedDirection>& served);  // "forward=...; data=...; filter=..."

class Conv2d {
 public:
  explicit Conv2d(const Conv2dSpec& spec) : spec_(spec) {}
  virtual ~Conv2d() = default;
  Conv2d(const Conv2d&) = delete;
  Conv2d& operator=(const Conv2d&) = delete;

  const Conv2dSpec& spec() const { return spec_; }

  // Bytes of scratch memory that one call needs, aligned to 256 bytes; of backward_filter() alone the second.
  // Calls that do not run at the same time may share it. Nothing in it is kept between calls.
  virtual std::size_t workspace_bytes() const = 0;
  virtual std::size_t filter_workspace_bytes() const = 0;  // 0 in an inference plan

  virtual void forward(Stream& stream, const void* x, const void* w, void* y, void* workspace) = 0;
  // accumulate: dx += instead of dx =. dy and dx must not overlap.
  virtual void backward_data(Stream& stream, const void* dy, const void* w, void* dx, bool accumulate,
                             void* workspace) = 0;
  virtual void backward_filter(Stream& stream, const void* x, const void* dy, void* dw, void* workspace) = 0;

  // What a GPU's own kernels can do on the way for the batch norm next to the convolution: the rows in each
  // group of partial results that they leave in its memory (BatchNormPartials). 0: nothing; the function
  // below must then not be called.
  virtual std::int64_t moment_rows() const { return 0; }
  virtual std::int64_t gradient_rows([[maybe_unused]] bool accumulate) const { return 0; }
  // forward(), and the moments of y for the batch norm behind it.
  virtual void forward_with_moments(Stream& stream, const void* x, const void* w, void* y,
                                    const BatchNormMemory& memory);
  // g = the g of `norm`, which made x, of the gradient `add` + dx; add may be null, or g.
  virtual void backward_data_to_norm(Stream& stream, const void* dy, const void* w, const void* add, void* g,
                                     const BatchNormGradient& norm);

  // The directions of the plan, in the order forward, data, filter.
  virtual std::vector<ServedDirection> served() const = 0;
  std::string description() const { return to_string(served()); }
  // The number of multiplications relative to the definition: less than 1 for Winograd's algorithm.
  virtual double flop_fraction() const { return 1; }

 private:
  Conv2dSpec spec_;
};

std::unique_ptr<Conv2d> make_conv2d(Device& device, const Conv2dSpec& spec);

// One of the plans that a library proposes for a convolution.
struct TimedConvPlan {
  std::string plan;     // "34:2=1,13=0 (engine 34, tensor_core, 0.10 MiB)"
  double seconds = 0;   // of an execution, the median; 0 if it does not run
  bool chosen = false;  // whether make_conv2d's plans use it
};

// Times all plans that the library of the device proposes for the call, in the order of its heuristics, with
// the caches in the state of a training step. Empty on a host, where the shape determines the plan.
std::vector<TimedConvPlan> time_conv2d_plans(Device& device, const Conv2dCall& call);

}  // namespace tdds
