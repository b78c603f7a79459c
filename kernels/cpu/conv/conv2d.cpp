#include "kernels/ops/conv2d.h"

#include <algorithm>

#include "kernels/cpu/conv/conv2d_pass.h"
#include "kernels/cpu/conv/direct_filter.h"
#include "kernels/cpu/conv/direct_forward.h"
#include "kernels/cpu/conv/onednn_conv.h"
#include "kernels/cpu/conv/widened_pass.h"
#include "kernels/cpu/conv/winograd.h"
#include "kernels/cpu/plans.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"
#include "kernels/runtime/isa.h"

namespace tdds::cpu {
namespace {

struct PassArgs {
  const Conv2dPass* pass;
  const void *a, *b;
  void* out;
  bool accumulate;
  void* workspace;
};

void run_pass(const PassArgs& args) {
  args.pass->run(args.a, args.b, args.out, args.accumulate, args.workspace);
}

// Winograd is faster wherever it applies, with two exceptions: its 4x4 tiles are mostly empty, or there are
// so few channels that its transforms (linear in the channels) cost more than it saves in products
// (quadratic).
bool prefers_winograd(const Conv2dSpec& s) {
  if (!winograd::supports(s) || s.dtype != DType::kF32 || s.algo == ConvAlgo::kDirect) return false;
  if (s.algo == ConvAlgo::kWinograd) return true;
  return s.height >= 3 && s.width >= 3 && std::min(s.channels, s.out_channels) >= 16;
}

std::unique_ptr<Conv2dPass> make_pass(const Conv2dSpec& spec, Direction direction) {
  if (prefers_winograd(spec)) return winograd::make_pass(spec, direction, isa());
  if (direction == Direction::kBackwardFilter) return make_direct_filter_pass(spec);
  if (direction == Direction::kForward && onednn_fails_forward(spec))
    return make_definition_forward_pass(spec);
  return onednn::make_direct_pass(spec, direction, spec.dtype);
}

std::unique_ptr<Conv2dPass> make_fp32_pass(const Conv2dSpec& spec, Direction direction) {
  if (spec.dtype == DType::kF32) return make_pass(spec, direction);
  Conv2dSpec wide = spec;
  wide.dtype = DType::kF32;
  return make_widened_pass(spec, direction, make_pass(wide, direction));
}

using MakePass = std::unique_ptr<Conv2dPass> (*)(const Conv2dSpec&, Direction);

class CpuConv2d final : public Conv2d {
 public:
  CpuConv2d(const Conv2dSpec& spec, MakePass make) : Conv2d(spec), forward_(make(spec, Direction::kForward)) {
    if (!spec.backward) return;
    data_ = make(spec, Direction::kBackwardData);
    filter_ = make(spec, Direction::kBackwardFilter);
  }

  std::size_t workspace_bytes() const override {
    std::size_t bytes = forward_->workspace_bytes();
    if (spec().backward) bytes = std::max({bytes, data_->workspace_bytes(), filter_->workspace_bytes()});
    return bytes;
  }

  std::size_t filter_workspace_bytes() const override { return filter_ ? filter_->workspace_bytes() : 0; }

  void forward(Stream& stream, const void* x, const void* w, void* y, void* workspace) override {
    enqueue<PassArgs>(stream, "conv2d_forward", {forward_.get(), x, w, y, false, workspace}, run_pass);
  }

  void backward_data(Stream& stream, const void* dy, const void* w, void* dx, bool accumulate,
                     void* workspace) override {
    check_has_backward();
    enqueue<PassArgs>(stream, "conv2d_backward_data", {data_.get(), dy, w, dx, accumulate, workspace},
                      run_pass);
  }

  void backward_filter(Stream& stream, const void* x, const void* dy, void* dw, void* workspace) override {
    check_has_backward();
    enqueue<PassArgs>(stream, "conv2d_backward_filter", {filter_.get(), x, dy, dw, false, workspace},
                      run_pass);
  }

  // F(4x4, 3x3): 36 products replace 16 results of 9 terms.
  double flop_fraction() const override { return prefers_winograd(spec()) ? 36.0 / (16 * 9) : 1; }

  std::vector<ServedDirection> served() const override {
    if (!spec().backward) return {{"forward", forward_->name()}};
    return {{"forward", forward_->name()}, {"data", data_->name()}, {"filter", filter_->name()}};
  }

 private:
  void check_has_backward() const {
    check(spec().backward, "conv2d: this plan was made for inference and has no backward pass");
  }

  std::unique_ptr<Conv2dPass> forward_, data_, filter_;
};

}  // namespace

std::unique_ptr<Conv2d> make_conv2d(Device&, const Conv2dSpec& spec) {
  check(spec.dtype == DType::kF32 || spec.dtype == DType::kBf16,
        "conv2d: the CPU does not support {}; use f32 or bf16", to_string(spec.dtype));
  check(spec.dtype == DType::kF32 || multiplies_bf16(), "conv2d: this CPU cannot multiply bf16; use f32");
  return std::make_unique<CpuConv2d>(spec, make_pass);
}

std::unique_ptr<Conv2d> make_widened_conv2d(Device&, const Conv2dSpec& spec) {
  return std::make_unique<CpuConv2d>(spec, make_fp32_pass);
}

}  // namespace tdds::cpu
