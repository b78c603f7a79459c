#include "kernels/ops/window_score.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/ops/run.h"
#include "kernels/ops/window_sweep.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

// Samples that one thread carries through all windows, so that the rows of a window stay in its cache.
constexpr std::int64_t kBlock = 256;

// R of a window, in two passes: a sliding sum of squares would cancel, since d spans many orders of
// magnitude.
[[gnu::always_inline]] inline void window_norms(const double* const* rows, int terms, std::int64_t n,
                                                double* mean, double* norm) {
  for (std::int64_t i = 0; i < n; ++i) mean[i] = 0;
  for (int j = 0; j < terms; ++j)
    for (std::int64_t i = 0; i < n; ++i) mean[i] += rows[j][i];
  for (std::int64_t i = 0; i < n; ++i) mean[i] /= terms;
  for (std::int64_t i = 0; i < n; ++i) norm[i] = 0;
  for (int j = 0; j < terms; ++j) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double off = rows[j][i] - mean[i];
      norm[i] += off * off;
    }
  }
}

// All callers share this code, so the compiler fuses the same products for all of them and the bits are
// equal.
struct StepBlock {
  [[gnu::always_inline]] static inline void run(const double* const* rows, int terms, std::int64_t n,
                                                double decay, double* s) {
    alignas(64) double mean[kBlock], norm[kBlock];
    window_norms(rows, terms, n, mean, norm);
    const double keep = 1 - decay;
    for (std::int64_t i = 0; i < n; ++i) s[i] = keep * s[i] + decay * std::sqrt(norm[i]);
  }
};

void step(const double* const* rows, int terms, std::int64_t n, double decay, double* s) {
  run_vectorized<StepBlock>(rows, terms, n, decay, s);
}

// The values of a block of samples, row by row, converted to double.
template <class T>
class BlockRows {
 public:
  BlockRows(std::span<const T* const> rows, std::int64_t begin, std::int64_t end) {
    const auto n = static_cast<std::size_t>(end - begin);
    if constexpr (std::is_same_v<T, double>) {
      for (const double* row : rows) rows_.push_back(row + begin);
    } else {
      values_.reserve(rows.size() * n);
      for (const T* row : rows) values_.insert(values_.end(), row + begin, row + end);
      for (std::size_t row = 0; row < rows.size(); ++row) rows_.push_back(values_.data() + row * n);
    }
  }
  const double* const* rows() const { return rows_.data(); }

 private:
  std::vector<double> values_;
  std::vector<const double*> rows_;
};

template <class T>
void sweep(const T* series, std::int64_t samples, std::int32_t window_size, double decay,
           std::span<const WindowSweepOutput> outputs) {
  if (outputs.empty()) return;
  std::vector<const T*> rows;
  for (std::int32_t t = 0; t + 1 < outputs.back().trajectory_len; ++t) rows.push_back(series + t * samples);
  const auto work = static_cast<std::int64_t>(2 * rows.size() * window_size);
  parallel_blocks(samples, kBlock, work, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) double s[kBlock] = {};
    const BlockRows<T> block(rows, begin, end);
    std::int32_t k = 0;
    for (const WindowSweepOutput& output : outputs) {
      for (; k <= output.trajectory_len - window_size; ++k)
        step(block.rows() + k, window_size - 1, end - begin, decay, s);
      for (std::int64_t i = begin; i < end; ++i) output.score[i] = static_cast<float>(s[i - begin]);
    }
  });
}

}  // namespace

void window_sweep(const double* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs) {
  sweep(series, samples, window_size, decay, outputs);
}

void window_sweep(const float* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs) {
  sweep(series, samples, window_size, decay, outputs);
}

void window_step(std::span<const float* const> rows, std::int64_t samples, double decay, double* s) {
  parallel_blocks(samples, kBlock, static_cast<std::int64_t>(2 * rows.size()),
                  [&](std::int64_t begin, std::int64_t end) {
                    const BlockRows<float> block(rows, begin, end);
                    step(block.rows(), static_cast<int>(rows.size()), end - begin, decay, s + begin);
                  });
}

template <>
void run(const WindowScoreArgs& args) {
  const WindowSweepOutput output{args.trajectory_len, args.score};
  window_sweep(args.series, args.samples, args.window_size, args.decay, {&output, 1});
}

}  // namespace tdds::cpu
