// Winograd's filter gradient: M_f [K,C] = Y_f^T [K,tiles] V_f [tiles,C], 36 times.
//
// The tiles are taken in spans, V and Y of which stay in the third-level cache; for each span the threads
// first share out the transforms and then the frequencies, so that every sum runs over the tiles in the same
// order however many threads there are.

#include <omp.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/winograd_plan.h"

namespace tdds::cpu::winograd {
namespace {

// Of the third-level cache, what V and Y of one span may take.
constexpr std::int64_t kSpanBytes = 4 << 20;

class FilterPass final : public Conv2dPass {
 public:
  FilterPass(const Conv2dSpec& spec, const Kernels& kernels)
      : spec_(spec),
        kernels_(kernels),
        zeros_(round_up_to(std::max(spec.channels, spec.out_channels), kernels.width)),
        tiles_(count_tiles(spec)),
        threads_(omp_get_max_threads()),
        columns_(round_up_to(spec.channels, kernels.width)),
        v_row_(odd_lines(columns_)),
        y_row_(odd_lines(round_up_to(spec.out_channels, kernels.width))) {
    const std::int64_t tile_bytes = kFrequencies * (v_row_ + y_row_) * sizeof(float);
    // Whole chunks: a sum over a span's tiles is then cut as one over all tiles would be.
    span_ = std::max(kSpanBytes / tile_bytes / kChunk, std::int64_t{1}) * kChunk;
    span_ = std::min(span_, tiles_);
    v_frequency_ = odd_lines(span_ * v_row_);
    y_frequency_ = odd_lines(span_ * y_row_);
    m_frequency_ = odd_lines(spec.out_channels * columns_);
  }

  std::size_t workspace_bytes() const override {
    return kFrequencies * (v_frequency_ + y_frequency_ + m_frequency_) * sizeof(float);
  }
  std::string name() const override { return "winograd"; }

  void run(const void* a, const void* b, void* out, bool, void* workspace) const override {
    const Call call{static_cast<const float*>(a), static_cast<const float*>(b), static_cast<float*>(out)};
    auto* const v = static_cast<float*>(workspace);
    float* const y = v + kFrequencies * v_frequency_;
    float* const m = y + kFrequencies * y_frequency_;
    const std::int64_t groups = divide_up(spec_.out_channels, kFilters);
#pragma omp parallel num_threads(threads_)
    {
      for (std::int64_t first = 0; first < tiles_; first += span_) {
        const TileRange span{first, std::min(span_, tiles_ - first)};
#pragma omp for schedule(dynamic)
        for (std::int64_t t = 0; t < span.count; t += kTilesAtOnce) transform(call, span, t, v, y);
#pragma omp for schedule(dynamic)
        for (std::int64_t item = 0; item < kFrequencies * groups; ++item)
          multiply(span, item / groups, item % groups * kFilters, v, y, m);
      }
#pragma omp for schedule(dynamic)
      for (std::int64_t k = 0; k < spec_.out_channels; ++k)
        kernels_.transform_filter_gradient({m + k * columns_, m_frequency_, columns_}, k, 1, spec_.channels,
                                           call.dw);
    }
  }

 private:
  struct Call {
    const float *x, *dy;
    float* dw;
  };
  static constexpr std::int64_t kTilesAtOnce = 8, kFilters = 96;  // what a thread takes at a time

  void transform(const Call& call, TileRange span, std::int64_t t, float* v, float* y) const {
    const TileRange tiles{span.first + t, std::min(kTilesAtOnce, span.count - t)};
    kernels_.transform_data({call.x, spec_.height, spec_.width, spec_.channels}, tiles, zeros_.data(),
                            {v + t * v_row_, v_frequency_, v_row_});
    kernels_.transform_gradient({call.dy, spec_.height, spec_.width, spec_.out_channels}, tiles,
                                zeros_.data(), {y + t * y_row_, y_frequency_, y_row_});
  }

  void multiply(TileRange span, std::int64_t f, std::int64_t k, const float* v, const float* y,
                float* m) const {
    kernels_.multiply({.a = y + f * y_frequency_ + k,
                       .a_row = 1,
                       .a_step = y_row_,
                       .b = v + f * v_frequency_,
                       .b_step = v_row_,
                       .c = m + f * m_frequency_ + k * columns_,
                       .c_row = columns_,
                       .rows = std::min(kFilters, spec_.out_channels - k),
                       .columns = columns_,
                       .steps = span.count,
                       .accumulate = span.first > 0});
  }

  Conv2dSpec spec_;
  const Kernels& kernels_;
  std::vector<float> zeros_;
  std::int64_t tiles_;
  int threads_;
  std::int64_t columns_, v_row_, y_row_;
  std::int64_t span_ = 0, v_frequency_ = 0, y_frequency_ = 0, m_frequency_ = 0;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_filter_pass(const Conv2dSpec& spec, const Kernels& kernels) {
  return std::make_unique<FilterPass>(spec, kernels);
}

}  // namespace tdds::cpu::winograd
