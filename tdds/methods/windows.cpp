#include "tdds/methods/windows.h"

#include <cmath>

#include "kernels/runtime/check.h"
#include "kernels/runtime/parallel.h"

namespace tdds::methods {
namespace {

class WindowMean : public Scorer {
 public:
  WindowMean(std::int64_t samples, std::int32_t window_size, WindowTerm term)
      : window_size_(window_size), term_(term), sum_(static_cast<std::size_t>(samples)) {
    check_usage(window_size >= 2, "windows of {} epochs are too small; 2 is the minimum", window_size);
    misses_.resize(static_cast<std::size_t>(window_size), std::vector<double>(sum_.size()));
  }

  // Uses 1 - p_y, which is accurate where p_y rounds to 1. Its deviation is that of p_y.
  void add(const EpochView& epoch) override {
    const float* loss = epoch.loss();
    std::vector<double>& newest = misses_[static_cast<std::size_t>(epochs_ % window_size_)];
    ++epochs_;
    constexpr std::int64_t kBlock = 256;
    cpu::parallel_blocks(static_cast<std::int64_t>(sum_.size()), kBlock, std::int64_t{2} * window_size_,
                         [&](std::int64_t begin, std::int64_t end) {
                           for (std::int64_t i = begin; i < end; ++i) {
                             newest[static_cast<std::size_t>(i)] = -std::expm1(-static_cast<double>(loss[i]));
                             if (epochs_ >= window_size_) add_window(static_cast<std::size_t>(i));
                           }
                         });
  }

  std::vector<float> score() const override {
    check_usage(window_size_ <= epochs_,
                "windows of {} epochs do not fit into {} epochs; 2 is the minimum; train longer or ask for "
                "smaller ones",
                window_size_, epochs_);
    std::vector<float> score;
    score.reserve(sum_.size());
    for (const double sum : sum_) score.push_back(static_cast<float>(sum / (epochs_ - window_size_ + 1)));
    return score;
  }

 private:
  void add_window(std::size_t i) {
    double mean = 0, squares = 0;
    for (std::int32_t j = 0; j < window_size_; ++j) mean += of_window(j)[i] / window_size_;
    for (std::int32_t j = 0; j < window_size_; ++j) {
      const double off = of_window(j)[i] - mean;
      squares += off * off;
    }
    sum_[i] += term_(std::sqrt(squares / (window_size_ - 1)), mean);
  }
  const std::vector<double>& of_window(std::int32_t j) const {
    return misses_[static_cast<std::size_t>((epochs_ + j) % window_size_)];  // oldest first
  }

  std::int32_t window_size_, epochs_ = 0;
  WindowTerm term_;
  std::vector<std::vector<double>> misses_;  // a ring of 1 - p_y
  std::vector<double> sum_;
};

}  // namespace

std::unique_ptr<Scorer> mean_over_windows(std::int64_t samples, std::int32_t window_size, WindowTerm term) {
  return std::make_unique<WindowMean>(samples, window_size, term);
}

}  // namespace tdds::methods
