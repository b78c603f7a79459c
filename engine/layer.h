#pragma once
// A layer has a declaration, which owns slices of the parameter blocks, and an instance in each pass, which
// owns a plan and the buffers of one batch size. Activations are NHWC of the pass's compute type.

#include <cstdint>
#include <memory>
#include <string>

#include "engine/arena.h"
#include "engine/params.h"
#include "engine/statistics_exchange.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/head.h"
#include "kernels/ops/max_pool.h"
#include "kernels/runtime/device.h"
#include "kernels/runtime/stream.h"

namespace tdds {

// The state that all layers of a pass share.
struct PassContext {
  Device& device;
  Params& params;
  DType compute;
  std::int32_t batch;
  bool train;
  Conv2dMath math = Conv2dMath::kExact;
  ConvAlgo algo = ConvAlgo::kAuto;
  std::int32_t full_batch = 0;
  WholeBatch whole = {};
  void* workspace = nullptr;         // shared by all layers, since commands of a stream run in order
  std::size_t workspace_bytes = 0;   // the largest request of a layer
  void* branch_workspace = nullptr;  // of the filters' gradients, which run on the branch
  std::size_t branch_workspace_bytes = 0;
  std::uint32_t* tickets = nullptr;  // of all layers, one after the other: zero when a step begins
  std::size_t ticket_count = 0;
};

struct ConvDecl {
  int filter;  // index in Params
  std::int32_t channels, out_channels, size, stride, padding;
  GradientMode data_gradient = GradientMode::kBoth;

  static ConvDecl declare(Params& params, const std::string& name, std::int32_t channels,
                          std::int32_t out_channels, std::int32_t size, std::int32_t stride,
                          std::int32_t stored_channels = 0);
};

// A convolution of a net: its name and shape, and the implementation of each direction.
struct ConvolutionPlan {
  std::string layer;  // "layer1.0.conv1 32x32x64 -> 64 3x3/1"
  std::vector<ServedDirection> served;
};
// One line each: "<layer>: forward=...; data=...; filter=...".
std::string to_string(const std::vector<ConvolutionPlan>& plans);

class BatchNormLayer;

class ConvLayer {
 public:
  ConvLayer(PassContext& context, const ConvDecl& decl, std::int32_t height, std::int32_t width);

  void bind(Arena& saved) { y_ = saved.take(y_bytes()); }
  // Also finds the moments of y for `next` if the plan can: `next` runs before anything else then.
  BatchNormPartials forward(Stream& stream, const void* x, const BatchNormLayer& next);
  // With `previous`, the layer that made x, dx becomes its g if the plan can. `previous` then takes the
  // result in its backward(), before anything else runs.
  BatchNormPartials backward_data(Stream& stream, const void* dy, void* dx, bool accumulate,
                                  const BatchNormLayer* previous = nullptr);
  // Runs on the stream's branch: x and dy must keep their values, and the gradient must not be read, until
  // the returned fork is joined.
  Stream::Fork backward_filter(Stream& stream, const void* x, const void* dy);

  void* y() const { return y_; }
  std::int64_t y_rows() const { return std::int64_t{plan_->spec().batch} * out_height() * out_width(); }
  std::int32_t y_channels() const { return plan_->spec().out_channels; }
  std::size_t x_bytes() const;
  std::size_t y_bytes() const;
  std::int32_t out_height() const { return plan_->spec().out_height(); }
  std::int32_t out_width() const { return plan_->spec().out_width(); }
  ConvolutionPlan plan() const;
  // The name of its filter without ".weight": "layer1.0.conv1".
  const std::string& name() const { return name_; }

 private:
  PassContext& context_;
  int filter_;
  std::string name_;
  std::unique_ptr<Conv2d> plan_;
  void* y_ = nullptr;
};

struct BatchNormDecl {
  int weight, bias, running_mean, running_var, batches_tracked;
  std::int32_t channels;

  static BatchNormDecl declare(Params& params, const std::string& name, std::int32_t channels);
};

// y = act(norm(x) + residual). Where the pass computes a part of a batch, its statistics may be those of the
// whole one (PassContext::whole). In a training pass, y is a separate buffer, which is kept for backward. In
// inference, y overwrites x.
class BatchNormLayer {
 public:
  static constexpr float kEps = 1e-5f, kMomentum = 0.1f;  // PyTorch's defaults, which the official model uses

  // residual: whether forward() is given one.
  BatchNormLayer(PassContext& context, const BatchNormDecl& decl, std::int64_t rows, bool relu,
                 bool residual);

  void bind(Arena& saved, void* x);
  void forward(Stream& stream, const void* residual, const BatchNormPartials& moments = {});
  // dx may be dy when dresidual is null or another buffer; dresidual (may be null) may be dy. With sums, dy
  // is g and dresidual must be null or dy.
  void backward(Stream& stream, const void* dy, void* dx, void* dresidual,
                const BatchNormPartials& sums = {});

  void* y() const { return y_; }
  // For the convolutions next to it. The memory is null in inference.
  BatchNormMemory moment_memory() const;
  BatchNormGradient gradient() const;

 private:
  BatchNormMemory memory(std::size_t ticket) const;
  BatchNormPartials gather(Stream& stream) const;

  PassContext& context_;
  BatchNormDecl decl_;
  std::string name_;
  std::int64_t rows_;
  bool relu_, residual_;
  std::size_t first_ticket_ = 0;
  void* x_ = nullptr;
  void* y_ = nullptr;
  float* mean_ = nullptr;
  float* inv_std_ = nullptr;
  std::uint8_t* mask_ = nullptr;  // only of a ReLU behind a residual
};

// The max-pool of ImageNet's stem: 3x3 windows, stride 2, padding 1.
class MaxPoolLayer {
 public:
  MaxPoolLayer(PassContext& context, std::int32_t height, std::int32_t width, std::int32_t channels);

  void bind(Arena& saved);
  void forward(Stream& stream, const void* x);
  void backward(Stream& stream, const void* dy, void* dx);  // dx is not dy

  void* y() const { return y_; }
  std::int32_t out_height() const { return shape_.out_height(); }
  std::int32_t out_width() const { return shape_.out_width(); }

 private:
  PassContext& context_;
  MaxPoolShape shape_;
  void* y_ = nullptr;
  std::uint8_t* argmax_ = nullptr;  // null in inference
};

// The global average pool and the linear layer, in fp32 for every precision.
struct HeadDecl {
  int weight, bias;
  std::int32_t features, classes;

  static HeadDecl declare(Params& params, const std::string& name, std::int32_t features,
                          std::int32_t classes);
};

class HeadLayer {
 public:
  HeadLayer(PassContext& context, const HeadDecl& decl, std::int32_t positions);

  void bind(Arena& saved);
  // loss: null for the logits alone; its logits and their gradient are set here.
  void forward(Stream& stream, const void* x, const SoftmaxKlArgs* loss, float* feature_norm);
  void backward(Stream& stream, void* dx);

  float* features() const { return features_; }
  float* logits() const { return logits_; }
  float* dlogits() const { return dlogits_; }

 private:
  PassContext& context_;
  HeadDecl decl_;
  std::string name_;
  HeadShape shape_;
  float *features_ = nullptr, *dfeatures_ = nullptr, *logits_ = nullptr, *dlogits_ = nullptr;
};

}  // namespace tdds
