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
      parts_.push_back({begin, onednn::make_direct_pass(images, Direction::kBackwardFilter)});
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
