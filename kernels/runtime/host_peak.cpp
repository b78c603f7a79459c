#include "kernels/runtime/host_peak.h"

#include <omp.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/runtime/isa.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

constexpr int kRuns = 20;
constexpr int kChains = 12;  // enough to hide the latency of a multiply-add
constexpr std::int64_t kSteps = 1'000'000;

template <int kWidth, int kSums>
struct MultiplyAdd {
  [[gnu::always_inline]] static inline void run(std::int64_t steps, float* result) {
    using Vec [[gnu::vector_size(kWidth * sizeof(float))]] = float;
    Vec sums[kSums] = {}, factor = {}, term = {};
    for (int i = 0; i < kSums; ++i) sums[i] += static_cast<float>(i);
    factor += 0.999F;
    term += 0.001F;
    for (std::int64_t step = 0; step < steps; ++step)
#pragma GCC unroll 12
      for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + term;
    for (int i = 0; i < kSums; ++i) *result += sums[i][0];
  }
};

constexpr std::int64_t kReadAtOnce = 128;  // floats

struct Read {
  [[gnu::always_inline]] static inline void run(const float* x, std::int64_t n, float* result) {
    using Vec [[gnu::vector_size(16 * sizeof(float)), gnu::aligned(4), gnu::may_alias]] = float;
    Vec sums[kReadAtOnce / 16] = {};
    for (std::int64_t i = 0; i + kReadAtOnce <= n; i += kReadAtOnce)
#pragma GCC unroll 8
      for (int j = 0; j < kReadAtOnce / 16; ++j) sums[j] += reinterpret_cast<const Vec*>(x + i)[j];
    for (const Vec& sum : sums) *result += sum[0];
  }
};

// Calls run(thread, threads, &result) on all threads at once, several times. Returns the work per second of
// all threads together, where each call does `work`.
template <class Run>
double rate(double work, const Run& run) {
  double sum = 0;
#pragma omp parallel num_threads(std::min(omp_get_max_threads(), host_cores())) reduction(+ : sum)
  {
    double best = INFINITY;
    volatile float kept = 0;  // otherwise the compiler may remove the computation
    for (int i = 0; i < kRuns; ++i) {
      float result = 0;
      const auto start = std::chrono::steady_clock::now();
      run(omp_get_thread_num(), omp_get_num_threads(), &result);
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      kept = result;
    }
    static_cast<void>(kept);
    sum += work / best;
  }
  return sum;
}

double fp32_flops() {
  using Multiply = void (*)(std::int64_t, float*);
  const Multiply multiply =
      variant_for<Multiply>(isa(), &run_generic<MultiplyAdd<4, kChains>, std::int64_t, float*>,
                            &run_avx2<MultiplyAdd<8, kChains>, std::int64_t, float*>,
                            &run_avx512<MultiplyAdd<16, kChains>, std::int64_t, float*>);
  const int width = variant_for(isa(), 4, 8, 16);
  return rate(2.0 * width * kChains * kSteps, [&](int, int, float* result) { multiply(kSteps, result); });
}

#if defined(__x86_64__)
constexpr int kPairs = 16;  // pairs of bf16 in a vector

[[gnu::target("avx512f,avx512bf16")]] void multiply_bf16(std::int64_t steps, float* result) {
  const __m512bh ones = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1), _mm512_set1_ps(1));
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (std::int64_t step = 0; step < steps; ++step)
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, ones, ones);
  for (const __m512& sum : sums) *result += _mm512_cvtss_f32(sum);
}

// AMX: a tile holds 16 rows of 64 bytes, 16 x 16 sums or 16 x 32 factors.
constexpr int kTiles = 6;  // tiles of sums; two more hold the factors
constexpr double kTileFlops = 2.0 * 16 * 16 * 32;

struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

[[gnu::target("amx-tile,amx-bf16")]] void multiply_tiles(std::int64_t steps) {
  static constexpr TileShapes kShapes;  // static: g++ believes that only its first bytes are read
  _tile_loadconfig(&kShapes);           // clears all tiles
  for (std::int64_t step = 0; step < steps; ++step) {
    _tile_dpbf16ps(0, 6, 7);
    _tile_dpbf16ps(1, 6, 7);
    _tile_dpbf16ps(2, 6, 7);
    _tile_dpbf16ps(3, 6, 7);
    _tile_dpbf16ps(4, 6, 7);
    _tile_dpbf16ps(5, 6, 7);
  }
  _tile_release();
}

// A process must request the tile registers from Linux (Documentation/arch/x86/xstate.rst).
bool has_tiles() {
  constexpr unsigned kAmxBf16 = 1U << 22, kAmxTile = 1U << 24;  // CPUID 7.0, EDX
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0 && (d & kAmxTile) != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

double bf16_flops() {
  if (!multiplies_bf16()) return 0;
  if (!has_tiles())
    return rate(4.0 * kPairs * kChains * kSteps,
                [](int, int, float* result) { multiply_bf16(kSteps, result); });
  constexpr std::int64_t kTileSteps = kSteps / 20;
  return rate(kTileFlops * kTiles * kTileSteps, [](int, int, float*) { multiply_tiles(kTileSteps); });
}
#else
double bf16_flops() {
  return 0;
}
#endif

double read_bytes(std::size_t bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 28;  // larger than any cache
  const std::vector<float> x(std::min(bytes, kMost) / sizeof(float), 1.0F);
  const auto all = static_cast<std::int64_t>(x.size());
  const auto part = [&](int threads) { return all / threads / kReadAtOnce * kReadAtOnce; };
  const int threads = std::min(omp_get_max_threads(), host_cores());
  if (part(threads) == 0) return 0;
  return rate(static_cast<double>(part(threads)) * sizeof(float), [&](int thread, int of, float* result) {
    run_vectorized<Read>(x.data() + thread * part(of), part(of), result);
  });
}

}  // namespace

DevicePeak measured_peak(std::size_t tensor_bytes) {
  const double fp32 = fp32_flops();
  return {.bytes = read_bytes(tensor_bytes),
          .fp32 = fp32,
          .tf32 = fp32,
          .half = bf16_flops(),
          .memory_bytes = 0,
          .source = fmt::format(
              "measured just now on {} threads: chains of multiply-adds in registers, {}, and reads of "
              "{:.1f} MB, the size of the largest tensor",
              std::min(omp_get_max_threads(), host_cores()), isa_name(),
              1e-6 * static_cast<double>(tensor_bytes))};
}

}  // namespace tdds::cpu
