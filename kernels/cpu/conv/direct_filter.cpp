#include "kernels/cpu/conv/direct_filter.h"

#include <algorithm>

#include "kernels/cpu/conv/batch_parts.h"
#include "kernels/cpu/conv/onednn_conv.h"
#include "kernels/cpu/conv/packed_filter.h"
#include "kernels/cpu/storage.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

constexpr std::size_t kCopiesBytes = 16 << 20;
constexpr std::int32_t kMaxParts = 16, kMinParts = 8;

// Evaluates the definition, for the shapes that oneDNN gets wrong: dw[k,r,s,c] = sum over the outputs of
// dy[output,k] * x[pixel under the filter's (r,s),c], in fp32. T is the type of the activations.
template <class T>
class DefinitionFilterPass final : public Conv2dPass {
 public:
  explicit DefinitionFilterPass(const Conv2dSpec& spec) : spec_(spec) {}

  std::size_t workspace_bytes() const override { return 0; }
  std::string name() const override { return "definition"; }

  void run(const void* a, const void* b, void* out, bool, void*) const override {
    const auto* x = static_cast<const T*>(a);
    const auto* dy = static_cast<const T*>(b);
    auto* const dw = static_cast<float*>(out);
    const std::size_t taps = std::size_t{1} * spec_.filter_h * spec_.filter_w;
    std::fill(dw, dw + taps * spec_.out_channels * spec_.channels, 0.0F);
    for (std::int32_t image = 0; image < spec_.batch; ++image) {
      for (std::int32_t p = 0; p < spec_.out_height(); ++p)
        for (std::int32_t q = 0; q < spec_.out_width(); ++q, dy += spec_.out_channels)
          add_output(x, p * spec_.stride - spec_.padding, q * spec_.stride - spec_.padding, dy, dw);
      x += std::size_t{1} * spec_.height * spec_.width * spec_.channels;
    }
  }

 private:
  // (top, left): the filter's corner in the image.
  void add_output(const T* x, std::int32_t top, std::int32_t left, const T* dy, float* dw) const {
    for (std::int32_t r = std::max(0, -top); r < std::min(spec_.filter_h, spec_.height - top); ++r)
      for (std::int32_t s = std::max(0, -left); s < std::min(spec_.filter_w, spec_.width - left); ++s) {
        const std::size_t pixel = std::size_t{1} * (top + r) * spec_.width + left + s;
        add_tap(x + pixel * spec_.channels, dy, dw + (r * spec_.filter_w + s) * spec_.channels);
      }
  }
  void add_tap(const T* x, const T* dy, float* dw) const {
    const std::size_t filter = std::size_t{1} * spec_.filter_h * spec_.filter_w * spec_.channels;
    for (std::int32_t k = 0; k < spec_.out_channels; ++k, dw += filter) {
      const float g = to_float(dy[k]);
      for (std::int32_t c = 0; c < spec_.channels; ++c) dw[c] += g * to_float(x[c]);
    }
  }

  Conv2dSpec spec_;
};

// 1x1 filters with channels that are not multiples of 8: the sums change from run to run (2.6, AVX2). bf16
// with a map narrower than the stride: parts of the gradient are never written (2.6, AMX).
bool onednn_fails(const Conv2dSpec& s) {
  const bool odd = s.channels % 8 != 0 || s.out_channels % 8 != 0;
  return (s.filter_h == 1 && s.filter_w == 1 && odd) || (s.dtype == DType::kBf16 && s.width < s.stride);
}

std::unique_ptr<Conv2dPass> make_whole(const Conv2dSpec& spec, DType filter_type) {
  if (auto pass = make_packed_filter_pass(spec, filter_type)) return pass;
  return onednn::make_direct_pass(spec, Direction::kBackwardFilter, filter_type);
}

// The fp32 gradient of some images.
std::unique_ptr<Conv2dPass> make_part(const Conv2dSpec& spec) {
  if (!onednn_fails(spec)) return make_whole(spec, DType::kF32);
  if (spec.dtype == DType::kBf16) return std::make_unique<DefinitionFilterPass<bf16_t>>(spec);
  return std::make_unique<DefinitionFilterPass<float>>(spec);
}

// Elements of the gradient that one thread sums at a time: they stay in the L1 cache.
constexpr std::int64_t kSumBlock = 2048;

// to[i] = the sum of from[i] over the copies, in order.
template <class T>
struct SumOfCopies {
  [[gnu::always_inline]] static inline void run(const float* from, std::size_t stride, std::size_t copies,
                                                T* to, std::int64_t n) {
    float sum[kSumBlock];
    std::copy_n(from, n, sum);
    for (std::size_t copy = 1; copy < copies; ++copy) {
      from += stride;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) sum[i] += from[i];
    }
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) to[i] = from_float<T>(sum[i]);
  }
};

class SplitFilterPass final : public Conv2dPass {
 public:
  SplitFilterPass(const Conv2dSpec& spec, std::int32_t parts)
      : spec_(spec),
        dw_elements_(std::size_t{1} * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels),
        parts_(spec, parts, make_part),
        scratch_bytes_(parts_.largest([](const auto& pass) { return pass->workspace_bytes(); })) {}

  std::size_t workspace_bytes() const override { return parts_.count() * (copy_bytes() + scratch_bytes_); }
  std::string name() const override { return parts_[0]->name() + " in parts"; }

  void run(const void* a, const void* b, void* out, bool, void* workspace) const override {
    auto* const copies = static_cast<std::byte*>(workspace);
    std::byte* const scratch = copies + parts_.count() * copy_bytes();
    parts_.run([&](std::size_t part, std::size_t image) {
      parts_[part]->run(static_cast<const std::byte*>(a) + image * x_image_bytes(spec_),
                        static_cast<const std::byte*>(b) + image * y_image_bytes(spec_),
                        copies + part * copy_bytes(), false, scratch + part * scratch_bytes_);
    });
    with_storage(spec_.dtype, [&]<class T>(T) { add_copies(copies, static_cast<T*>(out)); });
  }

 private:
  template <class T>
  void add_copies(const std::byte* copies, T* dw) const {
    const auto* first = reinterpret_cast<const float*>(copies);
    const std::size_t stride = copy_bytes() / sizeof(float);
    parallel_blocks(static_cast<std::int64_t>(dw_elements_), kSumBlock,
                    static_cast<std::int64_t>(parts_.count()), [&](std::int64_t begin, std::int64_t end) {
                      run_vectorized<SumOfCopies<T>>(first + begin, stride, parts_.count(), dw + begin,
                                                     end - begin);
                    });
  }

  std::size_t copy_bytes() const { return round_up(dw_elements_ * sizeof(float), 256); }

  Conv2dSpec spec_;
  std::size_t dw_elements_;
  BatchParts<std::unique_ptr<Conv2dPass>> parts_;
  std::size_t scratch_bytes_;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_direct_filter_pass(const Conv2dSpec& spec) {
  const std::size_t dw_bytes =
      sizeof(float) * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels;
  const auto affordable =
      static_cast<std::int32_t>(std::min<std::size_t>(kCopiesBytes / dw_bytes, kMaxParts));
  if (affordable < kMinParts && !onednn_fails(spec)) return make_whole(spec, spec.dtype);
  return std::make_unique<SplitFilterPass>(spec, std::clamp(affordable, 1, spec.batch));
}

}  // namespace tdds::cpu
