#include "kernels/cpu/direct_filter.h"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/onednn.h"

namespace tdds::cpu {
namespace {

constexpr std::size_t kCopiesBytes = 16 << 20;
constexpr std::int32_t kMostParts = 16, kLeastParts = 8;

// A oneDNN primitive is made for as many threads as OpenMP has at that time.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

// 1x1 filters between channels that are not multiples of 8: there oneDNN's sums (2.6, AVX2) change from run to run.
// dw[k,c] = sum over the pixels that the stride visits of dy[pixel,k] * x[pixel,c].
class PointwiseFilterPass final : public Conv2dPass {
 public:
  explicit PointwiseFilterPass(const Conv2dSpec& spec) : spec_(spec) {}

  static bool serves(const Conv2dSpec& s) {
    return s.filter_h == 1 && s.filter_w == 1 && (s.channels % 8 != 0 || s.out_channels % 8 != 0);
  }
  std::size_t workspace_bytes() const override { return 0; }
  std::string name() const override { return "pointwise"; }

  void run(const void* a, const void* b, void* out, bool, void*) const override {
    const auto* dy = static_cast<const float*>(b);
    auto* const dw = static_cast<float*>(out);
    std::fill(dw, dw + std::size_t{1} * spec_.out_channels * spec_.channels, 0.0F);
    for (std::int32_t image = 0; image < spec_.batch; ++image)
      for (std::int32_t p = 0; p < spec_.out_height(); ++p)
        for (std::int32_t q = 0; q < spec_.out_width(); ++q, dy += spec_.out_channels) {
          const std::size_t row = std::size_t{1} * image * spec_.height + p * spec_.stride;
          add_pixel(static_cast<const float*>(a) + (row * spec_.width + q * spec_.stride) * spec_.channels,
                    dy, dw);
        }
  }

 private:
  void add_pixel(const float* x, const float* dy, float* dw) const {
    for (std::int32_t k = 0; k < spec_.out_channels; ++k, dw += spec_.channels)
      for (std::int32_t c = 0; c < spec_.channels; ++c) dw[c] += dy[k] * x[c];
  }

  Conv2dSpec spec_;
};

std::unique_ptr<Conv2dPass> make_part(const Conv2dSpec& spec) {
  if (PointwiseFilterPass::serves(spec)) return std::make_unique<PointwiseFilterPass>(spec);
  return onednn::make_direct_pass(spec, Direction::kBackwardFilter);
}

class SplitFilterPass final : public Conv2dPass {
 public:
  SplitFilterPass(const Conv2dSpec& spec, std::int32_t parts)
      : x_image_(std::size_t{1} * spec.height * spec.width * spec.channels),
        y_image_(std::size_t{1} * spec.out_height() * spec.out_width() * spec.out_channels),
        dw_elements_(std::size_t{1} * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels) {
    const OneThread guard;
    for (std::int32_t part = 0; part < parts; ++part) {
      const std::int64_t begin = std::int64_t{spec.batch} * part / parts;
      Conv2dSpec images = spec;
      images.batch = static_cast<std::int32_t>(std::int64_t{spec.batch} * (part + 1) / parts - begin);
      parts_.push_back({begin, make_part(images)});
      part_bytes_ = std::max(part_bytes_, round_up(parts_.back().pass->workspace_bytes(), 256));
    }
  }

  std::size_t workspace_bytes() const override { return parts_.size() * (part_bytes_ + copy_bytes()); }
  std::string name() const override { return parts_.front().pass->name() + " in parts"; }

  void run(const void* a, const void* b, void* out, bool, void* workspace) const override {
    auto* const copies = static_cast<std::byte*>(workspace);
    std::byte* const scratch = copies + parts_.size() * copy_bytes();
#pragma omp parallel for schedule(dynamic)
    for (std::size_t i = 0; i < parts_.size(); ++i)
      parts_[i].pass->run(static_cast<const float*>(a) + parts_[i].first_image * x_image_,
                          static_cast<const float*>(b) + parts_[i].first_image * y_image_,
                          copies + i * copy_bytes(), false, scratch + i * part_bytes_);
    auto* const dw = static_cast<float*>(out);
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < dw_elements_; ++i) {
      float sum = 0;
      for (std::size_t part = 0; part < parts_.size(); ++part)
        sum += reinterpret_cast<const float*>(copies + part * copy_bytes())[i];
      dw[i] = sum;
    }
  }

 private:
  struct Part {
    std::int64_t first_image;
    std::unique_ptr<Conv2dPass> pass;
  };

  std::size_t copy_bytes() const {
    return round_up(dw_elements_ * sizeof(float), 256);
  }

  std::size_t x_image_, y_image_, dw_elements_;
  std::vector<Part> parts_;
  std::size_t part_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_direct_filter_pass(const Conv2dSpec& spec) {
  const std::size_t dw_bytes =
      sizeof(float) * spec.out_channels * spec.filter_h * spec.filter_w * spec.channels;
  const auto affordable =
      static_cast<std::int32_t>(std::min<std::size_t>(kCopiesBytes / dw_bytes, kMostParts));
  if (affordable < kLeastParts) return onednn::make_direct_pass(spec, Direction::kBackwardFilter);
  return std::make_unique<SplitFilterPass>(spec, std::min(affordable, spec.batch));
}

}  // namespace tdds::cpu
