#include "kernels/sgd.h"

#include <bit>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vectorize.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

// Parameters that one thread takes at a time.
constexpr std::int64_t kBlock = 16384;

template <bool kNesterov>
struct Update {
  [[gnu::always_inline]] static inline void run(SgdArgs args, float lr, std::int64_t begin,
                                                std::int64_t end) {
    const auto* gradient = static_cast<const float*>(args.gradient);
    auto* compute = static_cast<float*>(args.compute);
    float *w = args.w, *v = args.v;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = gradient[i] * args.inverse_scale + args.weight_decay * w[i];
      const float velocity = args.momentum * v[i] + g;
      v[i] = velocity;
      w[i] -= lr * (kNesterov ? g + args.momentum * velocity : velocity);
    }
    if (compute) std::copy(w + begin, w + end, compute + begin);
  }
};

void run_sgd(const SgdArgs& args) {
  if (args.state->nonfinite) return;
  const float lr = args.lr_table[args.state->step];
  parallel_blocks(args.n, kBlock, [&](std::int64_t begin, std::int64_t end) {
    if (args.nesterov)
      run_vectorized<Update<true>>(args, lr, begin, end);
    else
      run_vectorized<Update<false>>(args, lr, begin, end);
  });
}

struct AnyNonfinite {
  [[gnu::always_inline]] static inline void run(const float* x, std::int64_t n, bool* found) {
    constexpr std::uint32_t kExponent = 0x7F800000;  // all ones in a NaN or an infinity alone
    std::uint32_t any = 0;
#pragma omp simd reduction(| : any)
    for (std::int64_t i = 0; i < n; ++i)
      any |= (std::bit_cast<std::uint32_t>(x[i]) & kExponent) == kExponent ? 1u : 0u;
    *found = any != 0;
  }
};

void run_check_finite(const CheckFiniteArgs& args) {
  const auto* gradient = static_cast<const float*>(args.gradient);
  bool any = false;
#pragma omp parallel for schedule(static) reduction(|| : any)
  for (std::int64_t begin = 0; begin < args.n; begin += kBlock) {
    bool found = false;
    run_vectorized<AnyNonfinite>(gradient + begin, std::min(kBlock, args.n - begin), &found);
    any = any || found;
  }
  if (any) args.state->nonfinite = 1;
}

}  // namespace

void sgd(Stream& stream, const SgdArgs& args) {
  check(args.gradient_dtype == DType::kF32, "sgd: the CPU has no {} gradients; use f32",
        name_of(args.gradient_dtype));
  check(!args.compute || args.compute_dtype == DType::kF32, "sgd: the CPU has no {} parameters; use f32",
        name_of(args.compute_dtype));
  check(args.n >= 0, "sgd: {} parameters; a count is at least 0", args.n);
  check(args.w && args.v && args.gradient && args.lr_table && args.state, "sgd: only compute may be null");
  enqueue(stream, "sgd", args, run_sgd);
}

void check_finite(Stream& stream, const CheckFiniteArgs& args) {
  check(args.dtype == DType::kF32, "check_finite: the CPU has no {} gradients; use f32", name_of(args.dtype));
  check(args.n >= 0, "check_finite: {} gradients; a count is at least 0", args.n);
  check(args.gradient && args.state, "check_finite: no pointer may be null");
  enqueue(stream, "check_finite", args, run_check_finite);
}

}  // namespace tdds::cpu
