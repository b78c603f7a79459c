#include "kernels/ops/sgd.h"

#include <bit>

#include "kernels/cpu/storage.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

// Parameters that one thread processes at a time.
constexpr std::int64_t kBlock = 16384;

// T: type of the gradients; C: type of the compute copy.
template <bool kNesterov, class T, class C>
struct Update {
  [[gnu::always_inline]] static inline void run(SgdArgs args, float lr, std::int64_t begin,
                                                std::int64_t end) {
    const auto* gradient = static_cast<const T*>(args.gradient);
    auto* compute = static_cast<C*>(args.compute);
    float *w = args.w, *v = args.v;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = to_float(gradient[i]) * args.inverse_scale + args.weight_decay * w[i];
      const float velocity = args.momentum * v[i] + g;
      v[i] = velocity;
      w[i] -= lr * (kNesterov ? g + args.momentum * velocity : velocity);
    }
    if (!compute) return;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) compute[i] = from_float<C>(w[i]);
  }
};

template <class T>
struct AnyNonfinite {
  [[gnu::always_inline]] static inline void run(const T* x, std::int64_t n, bool* found) {
    constexpr std::uint32_t kExponent = 0x7F800000;  // all ones only in a NaN or an infinity
    std::uint32_t any = 0;
#pragma omp simd reduction(| : any)
    for (std::int64_t i = 0; i < n; ++i)
      any |= (std::bit_cast<std::uint32_t>(to_float(x[i])) & kExponent) == kExponent ? 1u : 0u;
    *found = any != 0;
  }
};

template <class T>
bool any_nonfinite(const T* gradient, std::int64_t n) {
  bool any = false;
#pragma omp parallel for schedule(static) reduction(|| : any) num_threads(threads_for(n))
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    bool found = false;
    run_vectorized<AnyNonfinite<T>>(gradient + begin, std::min(kBlock, n - begin), &found);
    any = any || found;
  }
  return any;
}

void update(const SgdArgs& args, float lr) {
  with_storage(args.gradient_dtype, [&]<class T>(T) {
    with_storage(args.compute_dtype, [&]<class C>(C) {
      parallel_blocks(args.n, kBlock, 3, [&](std::int64_t begin, std::int64_t end) {
        if (args.nesterov)
          run_vectorized<Update<true, T, C>>(args, lr, begin, end);
        else
          run_vectorized<Update<false, T, C>>(args, lr, begin, end);
      });
    });
  });
}

}  // namespace

template <>
void run(const SgdArgs& args) {
  if (args.state->nonfinite) return;
  const float lr = args.lr_table[args.state->step];
  update(args, lr);
  SgdArgs more = args;
  more.w = args.more.w;
  more.v = args.more.v;
  more.gradient = args.more.gradient;
  more.compute = nullptr;
  more.n = args.more.n;
  more.gradient_dtype = more.compute_dtype = DType::kF32;
  update(more, lr);
}

template <>
void run(const CheckFiniteArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) {
    if (any_nonfinite(static_cast<const T*>(args.gradient), args.n)) args.state->nonfinite = 1;
  });
  if (any_nonfinite(args.more, args.more_n)) args.state->nonfinite = 1;
}

}  // namespace tdds::cpu
