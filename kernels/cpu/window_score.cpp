#include "kernels/window_score.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/window_sweep.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

// Samples that one thread carries through all windows: the rows of a window then stay in its cache.
constexpr std::int64_t kBlock = 256;

struct Sweep {
  const float* series;
  std::int64_t samples;
  std::int32_t window_size;
  double decay;
  std::span<const WindowSweepOutput> outputs;
};

// R_k in two passes over the window: a sliding sum of squares would cancel, since d spans many decades.
[[gnu::always_inline]] inline void window_norms(const float* window, std::int64_t stride, int terms,
                                                std::int64_t n, double* mean, double* norm) {
  for (std::int64_t i = 0; i < n; ++i) mean[i] = 0;
  for (int j = 0; j < terms; ++j)
    for (std::int64_t i = 0; i < n; ++i) mean[i] += window[j * stride + i];
  for (std::int64_t i = 0; i < n; ++i) mean[i] /= terms;
  for (std::int64_t i = 0; i < n; ++i) norm[i] = 0;
  for (int j = 0; j < terms; ++j) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double off = window[j * stride + i] - mean[i];
      norm[i] += off * off;
    }
  }
}

[[gnu::always_inline]] inline void sweep_block(const Sweep& sweep, std::int64_t begin, std::int64_t end) {
  alignas(64) double s[kBlock] = {}, mean[kBlock], norm[kBlock];
  const std::int64_t n = end - begin;
  const int terms = sweep.window_size - 1;
  const double keep = 1 - sweep.decay;
  std::int32_t k = 0;
  for (const WindowSweepOutput& output : sweep.outputs) {
    for (; k <= output.trajectory_len - sweep.window_size; ++k) {
      window_norms(sweep.series + k * sweep.samples + begin, sweep.samples, terms, n, mean, norm);
      for (std::int64_t i = 0; i < n; ++i) s[i] = keep * s[i] + sweep.decay * std::sqrt(norm[i]);
    }
    for (std::int64_t i = 0; i < n; ++i) output.score[begin + i] = static_cast<float>(s[i]);
  }
}

void sweep_generic(const Sweep& sweep, std::int64_t begin, std::int64_t end) {
  sweep_block(sweep, begin, end);
}
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void sweep_avx2(const Sweep& sweep, std::int64_t begin, std::int64_t end) {
  sweep_block(sweep, begin, end);
}
[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]] void sweep_avx512(const Sweep& sweep,
                                                                            std::int64_t begin,
                                                                            std::int64_t end) {
  sweep_block(sweep, begin, end);
}
#endif

auto sweep_for(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return sweep_avx512;
  if (isa == Isa::kAvx2) return sweep_avx2;
#endif
  static_cast<void>(isa);
  return sweep_generic;
}

void run_window_score(const WindowScoreArgs& args) {
  const WindowSweepOutput output{args.trajectory_len, args.score};
  window_sweep(args.series, args.samples, args.window_size, args.decay, {&output, 1});
}

}  // namespace

void window_sweep(const float* series, std::int64_t samples, std::int32_t window_size, double decay,
                  std::span<const WindowSweepOutput> outputs) {
  const Sweep sweep{series, samples, window_size, decay, outputs};
  const auto run = sweep_for(isa());
  parallel_blocks(samples, kBlock, [&](std::int64_t begin, std::int64_t end) { run(sweep, begin, end); });
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
