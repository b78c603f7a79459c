#include "kernels/ops/conv2d.h"

#include "kernels/ops/ops.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {
namespace {

void check_spec(const Conv2dSpec& s) {
  check(s.batch > 0 && s.height > 0 && s.width > 0 && s.channels > 0 && s.out_channels > 0 &&
            s.filter_h > 0 && s.filter_w > 0,
        "conv2d: every size must be positive; got x [{},{},{},{}], w [{},{},{},{}]", s.batch, s.height,
        s.width, s.channels, s.out_channels, s.filter_h, s.filter_w, s.channels);
  check(s.stride > 0, "conv2d: the stride must be positive; got {}", s.stride);
  check(s.padding >= 0 && s.padding < s.filter_h && s.padding < s.filter_w,
        "conv2d: padding {} must be at least 0 and less than the filter {}x{}", s.padding, s.filter_h,
        s.filter_w);
  check(s.height + 2 * s.padding >= s.filter_h && s.width + 2 * s.padding >= s.filter_w,
        "conv2d: a {}x{} filter does not fit into {}x{} with padding {}", s.filter_h, s.filter_w, s.height,
        s.width, s.padding);
}

}  // namespace

std::string to_string(const std::vector<ServedDirection>& served) {
  std::string text;
  for (const auto& [direction, by] : served)
    text += fmt::format("{}{}={}", text.empty() ? "" : "; ", direction, by);
  return text;
}

void Conv2d::forward_with_moments(Stream&, const void*, const void*, void*, const BatchNormMemory&) {
  throw Error("conv2d: this plan takes no moments; see moment_rows()");
}
void Conv2d::backward_data_to_norm(Stream&, const void*, const void*, const void*, void*,
                                   const BatchNormGradient&) {
  throw Error("conv2d: this plan cannot compute the g of a batch norm; see gradient_rows()");
}

std::unique_ptr<Conv2d> make_conv2d(Device& device, const Conv2dSpec& spec) {
  check_spec(spec);
  return device.ops().make_conv2d(device, spec);
}

std::vector<TimedConvPlan> time_conv2d_plans(Device& device, const Conv2dCall& call) {
  check_spec(call.spec);
  const auto time = device.ops().time_conv2d_plans;
  return time ? time(device, call) : std::vector<TimedConvPlan>{};
}

const char* to_string(ConvAlgo algo) {
  switch (algo) {
    case ConvAlgo::kAuto:
      return "auto";
    case ConvAlgo::kDirect:
      return "direct";
    case ConvAlgo::kWinograd:
      return "winograd";
  }
  throw Error("to_string: unknown convolution algorithm");
}

}  // namespace tdds
