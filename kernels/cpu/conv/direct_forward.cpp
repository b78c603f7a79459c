#include "kernels/cpu/conv/direct_forward.h"

#include <algorithm>

#include "kernels/cpu/storage.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

class DefinitionForwardPass final : public Conv2dPass {
 public:
  explicit DefinitionForwardPass(const Conv2dSpec& spec) : s_(spec) {}

  std::size_t workspace_bytes() const override { return 0; }
  std::string name() const override { return "definition"; }

  void run(const void* a, const void* b, void* out, bool, void*) const override {
    const auto* x = static_cast<const bf16_t*>(a);
    const auto* w = static_cast<const bf16_t*>(b);
    auto* y = static_cast<bf16_t*>(out);
    const std::int64_t products =
        std::int64_t{s_.out_width()} * s_.out_channels * s_.filter_h * s_.filter_w * s_.channels;
    parallel_for(std::int64_t{s_.batch} * s_.out_height(), products, [&](std::int64_t row) {
      const std::int64_t image = row / s_.out_height();
      const auto top = static_cast<std::int32_t>(row % s_.out_height()) * s_.stride - s_.padding;
      for (std::int32_t q = 0; q < s_.out_width(); ++q)
        for (std::int32_t k = 0; k < s_.out_channels; ++k)
          y[(row * s_.out_width() + q) * s_.out_channels + k] = from_float<bf16_t>(
              output(x + image * s_.height * s_.width * s_.channels, top, q * s_.stride - s_.padding,
                     w + std::int64_t{k} * s_.filter_h * s_.filter_w * s_.channels));
    });
  }

 private:
  // (top, left): the filter's corner in the image.
  float output(const bf16_t* x, std::int32_t top, std::int32_t left, const bf16_t* w) const {
    float sum = 0;
    for (std::int32_t r = std::max(0, -top); r < std::min(s_.filter_h, s_.height - top); ++r)
      for (std::int32_t s = std::max(0, -left); s < std::min(s_.filter_w, s_.width - left); ++s) {
        const bf16_t* pixel = x + (std::int64_t{top + r} * s_.width + left + s) * s_.channels;
        const bf16_t* tap = w + (std::int64_t{r} * s_.filter_w + s) * s_.channels;
        for (std::int32_t c = 0; c < s_.channels; ++c) sum += to_float(pixel[c]) * to_float(tap[c]);
      }
    return sum;
  }

  Conv2dSpec s_;
};

}  // namespace

bool onednn_fails_forward(const Conv2dSpec& spec) {
  return spec.dtype == DType::kBf16 && spec.stride > 1 && spec.out_width() == 1;
}

std::unique_ptr<Conv2dPass> make_definition_forward_pass(const Conv2dSpec& spec) {
  return std::make_unique<DefinitionForwardPass>(spec);
}

}  // namespace tdds::cpu
