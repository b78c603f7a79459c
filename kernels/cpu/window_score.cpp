#include "kernels/window_score.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/window_sweep.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

// Samples that one thread carries through all windows: the rows of a window then stay in its cache.
constexpr std::int64_t kBlock = 256;

// R of a window in two passes: a sliding sum of squares would cancel, since d spans many decades.
[[gnu::always_inline]] inline void window_norms(const float* const* rows, int terms, std::int64_t begin,
                                                std::int64_t n, double* mean, double* norm) {
  for (std::int64_t i = 0; i < n; ++i) mean[i] = 0;
  for (int j = 0; j < terms; ++j)
    for (std::int64_t i = 0; i < n; ++i) mean[i] += rows[j][begin + i];
  for (std::int64_t i = 0; i < n; ++i) mean[i] /= terms;
  for (std::int64_t i = 0; i < n; ++i) norm[i] = 0;
  for (int j = 0; j < terms; ++j) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double off = rows[j][begin + i] - mean[i];
      norm[i] += off * off;
    }
  }
}

[[gnu::always_inline]] inline void step_block(const float* const* rows, int terms, std::int64_t begin,
                                              std::int64_t n, double decay, double* s) {
  alignas(64) double mean[kBlock], norm[kBlock];
  window_norms(rows, terms, begin, n, mean, norm);
  const double keep = 1 - decay;
  for (std::int64_t i = 0; i < n; ++i) s[i] = keep * s[i] + decay * std::sqrt(norm[i]);
}

// One function for every caller: which products the compiler fuses, and so the bits, is settled in it.
using StepBlock = void (*)(const float* const* rows, int terms, std::int64_t begin, std::int64_t n,
                           double decay, double* s);

void step_generic(const float* const* rows, int terms, std::int64_t begin, std::int64_t n, double decay,
                  double* s) {
  step_block(rows, terms, begin, n, decay, s);
}
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void step_avx2(const float* const* rows, int terms, std::int64_t begin,
                                           std::int64_t n, double decay, double* s) {
  step_block(rows, terms, begin, n, decay, s);
}
[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]] void step_avx512(const float* const* rows,
                                                                           int terms, std::int64_t begin,
                                                                           std::int64_t n, double decay,
                                                                           double* s) {
  step_block(rows, terms, begin, n, decay, s);
}
#endif

StepBlock step_for(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return step_avx512;
  if (isa == Isa::kAvx2) return step_avx2;
#endif
  static_cast<void>(isa);
  return step_generic;
}

void run_window_score(const WindowScoreArgs& args) {
  const WindowSweepOutput output{args.trajectory_len, args.score};
  window_sweep(args.series, args.samples, args.window_size, args.decay, {&output, 1});
}

}  // namespace

void window_sweep(const float* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs) {
  if (outputs.empty()) return;
  std::vector<const float*> rows;
  for (std::int32_t t = 0; t + 1 < outputs.back().trajectory_len; ++t) rows.push_back(series + t * samples);
  const StepBlock step = step_for(isa());
  parallel_blocks(samples, kBlock, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) double s[kBlock] = {};
    std::int32_t k = 0;
    for (const WindowSweepOutput& output : outputs) {
      for (; k <= output.trajectory_len - window_size; ++k)
        step(rows.data() + k, window_size - 1, begin, end - begin, decay, s);
      for (std::int64_t i = begin; i < end; ++i) output.score[i] = static_cast<float>(s[i - begin]);
    }
  });
}

void window_step(std::span<const float* const> rows, std::int64_t samples, double decay, double* s) {
  const StepBlock step = step_for(isa());
  parallel_blocks(samples, kBlock, [&](std::int64_t begin, std::int64_t end) {
    step(rows.data(), static_cast<int>(rows.size()), begin, end - begin, decay, s + begin);
  });
}

void window_score(Stream& stream, const WindowScoreArgs& args) {
  check(args.series && args.score, "window_score: series and score are required");
  check(args.samples > 0, "window_score: {} samples; give at least 1", args.samples);
  check(args.window_size >= 3 && args.window_size <= args.trajectory_len,
        "window_score: a window of {} epochs in a trajectory of {}; 3 <= J <= T is needed", args.window_size,
        args.trajectory_len);
  enqueue(stream, "window_score", args, run_window_score);
}

}  // namespace tdds::cpu
