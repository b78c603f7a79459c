#include <algorithm>

#include "kernels/cpu/batchnorm_workspace.h"
#include "kernels/cpu/storage.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

// dx = scale * (g - offset - (x - mean) * slope), where g = dy where y > 0 and else 0 (all of dy without
// ReLU).
template <class T>
struct Gradient {
  const T *x, *y, *dy;
  T *dx, *dresidual;
  const float *mean, *scale, *offset, *slope;
  std::int64_t channels;
};

template <class T, bool kRelu>
struct BlockGradientSums {
  [[gnu::always_inline]] static inline void run(Gradient<T> a, std::int64_t begin, std::int64_t end,
                                                double* sum_g, double* sum_g_deviation) {
    float sum[kTile], product[kTile];
    for (std::int64_t c0 = 0; c0 < a.channels; c0 += kTile) {
      const std::int64_t width = std::min(kTile, a.channels - c0);
      const float* mean = a.mean + c0;
      std::fill_n(sum, width, 0.0f);
      std::fill_n(product, width, 0.0f);
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = a.x + r * a.channels + c0;
        const T* y = kRelu ? a.y + r * a.channels + c0 : nullptr;
        const T* dy = a.dy + r * a.channels + c0;
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          float g = to_float(dy[c]);
          if constexpr (kRelu) g = to_float(y[c]) > 0 ? g : 0;
          sum[c] += g;
          product[c] += g * (to_float(x[c]) - mean[c]);
        }
      }
      std::copy_n(sum, width, sum_g + c0);
      std::copy_n(product, width, sum_g_deviation + c0);
    }
  }
};

template <class T, bool kRelu, bool kResidual>
struct ApplyGradient {
  [[gnu::always_inline]] static inline void run(Gradient<T> a, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t row = r * a.channels;
      const T *x = a.x + row, *y = kRelu ? a.y + row : nullptr, *dy = a.dy + row;
      T *dx = a.dx + row, *dresidual = kResidual ? a.dresidual + row : nullptr;
#pragma omp simd
      for (std::int64_t c = 0; c < a.channels; ++c) {
        float g = to_float(dy[c]);
        if constexpr (kRelu) g = to_float(y[c]) > 0 ? g : 0;
        dx[c] = from_float<T>(a.scale[c] * (g - a.offset[c] - (to_float(x[c]) - a.mean[c]) * a.slope[c]));
        if constexpr (kResidual) dresidual[c] = from_float<T>(g);
      }
    }
  }
};

// The sums of all rows: of g and g (x - mean). The groups are [groups][2][channels].
struct Sums {
  double g[kMergeChannels] = {}, product[kMergeChannels] = {};

  template <class T>
  Sums(const T* groups, std::int64_t count, std::int64_t channels, std::int64_t c0, std::int64_t c1) {
    for (std::int64_t group = 0; group < count; ++group, groups += 2 * channels)
      for (std::int64_t c = c0; c < c1; ++c) {
        g[c - c0] += groups[c];
        product[c - c0] += groups[channels + c];
      }
  }
};

void write_parameter_gradients(const BatchNormBackwardArgs& args, const Sums& sums, std::int64_t c0,
                               std::int64_t c1) {
  for (std::int64_t c = c0; c < c1; ++c) {
    args.dbias[c] = static_cast<float>(sums.g[c - c0]);
    args.dweight[c] = static_cast<float>(sums.product[c - c0] * double{args.inv_std[c]});
  }
}

void finish_backward(const BatchNormBackwardArgs& args, const BatchNormWorkspace& work, const Sums& sums,
                     std::int64_t c0, std::int64_t c1) {
  if (!args.partials.total_rows) write_parameter_gradients(args, sums, c0, c1);
  const double n = static_cast<double>(args.partials.rows_of(args.rows));
  for (std::int64_t c = c0; c < c1; ++c) {
    const double inv_std = args.inv_std[c], dweight = sums.product[c - c0] * inv_std;
    work.coefficient(0)[c] = static_cast<float>(args.weight[c] * inv_std);
    work.coefficient(1)[c] = static_cast<float>(sums.g[c - c0] / n);
    work.coefficient(2)[c] = static_cast<float>(inv_std * dweight / n);
  }
}

template <class T>
Gradient<T> gradient_of(const BatchNormBackwardArgs& args, const BatchNormWorkspace& work) {
  return {static_cast<const T*>(args.x),
          static_cast<const T*>(args.y),
          static_cast<const T*>(args.dy),
          static_cast<T*>(args.dx),
          static_cast<T*>(args.dresidual),
          args.mean,
          work.coefficient(0),
          work.coefficient(1),
          work.coefficient(2),
          work.channels};
}

// Calls take(sums, c0, c1) for ranges of channels, with what `partials` holds or, without it, with the sums
// of the rows of x.
template <class T, class Take>
void for_all_sums(const BatchNormBackwardArgs& args, const BatchNormWorkspace& work, const Take& take) {
  const BatchNormPartials& partials = args.partials;
  const std::int64_t channels = work.channels;
  const auto merge = [&](const auto* groups, std::int64_t count) {
    parallel_blocks(channels, kMergeChannels, 2 * count, [&](std::int64_t c0, std::int64_t c1) {
      take(Sums(groups, count, channels, c0, c1), c0, c1);
    });
  };
  if (partials.groups)
    return merge(partials.groups, ceil_div(partials.rows_of(args.rows), partials.group_rows));
  const Gradient<T> a = gradient_of<T>(args, work);
  parallel_for(work.blocks, work.block_rows * channels, [&](std::int64_t block) {
    const std::int64_t begin = block * work.block_rows, end = std::min(args.rows, begin + work.block_rows);
    if (args.relu)
      run_vectorized<BlockGradientSums<T, true>>(a, begin, end, work.first(block), work.second(block));
    else
      run_vectorized<BlockGradientSums<T, false>>(a, begin, end, work.first(block), work.second(block));
  });
  merge(work.sums, work.blocks);
}

template <class T>
void backward(const BatchNormBackwardArgs& args) {
  const BatchNormWorkspace work(args.workspace, args.rows, args.channels);
  for_all_sums<T>(args, work, [&](const Sums& sums, std::int64_t c0, std::int64_t c1) {
    finish_backward(args, work, sums, c0, c1);
  });
  const Gradient<T> a = gradient_of<T>(args, work);
  // Last rows first, as in the forward pass.
  parallel_for(work.blocks, work.block_rows * work.channels, [&](std::int64_t i) {
    const std::int64_t begin = (work.blocks - 1 - i) * work.block_rows;
    const std::int64_t end = std::min(args.rows, begin + work.block_rows);
    if (args.relu)
      a.dresidual ? run_vectorized<ApplyGradient<T, true, true>>(a, begin, end)
                  : run_vectorized<ApplyGradient<T, true, false>>(a, begin, end);
    else
      a.dresidual ? run_vectorized<ApplyGradient<T, false, true>>(a, begin, end)
                  : run_vectorized<ApplyGradient<T, false, false>>(a, begin, end);
  });
}

template <class T>
void sums(const BatchNormSumsArgs& args) {
  const BatchNormWorkspace work(args.backward.workspace, args.backward.rows, args.backward.channels);
  for_all_sums<T>(args.backward, work, [&](const Sums& found, std::int64_t c0, std::int64_t c1) {
    std::copy_n(found.g, c1 - c0, args.sums + c0);
    std::copy_n(found.product, c1 - c0, args.sums + work.channels + c0);
    write_parameter_gradients(args.backward, found, c0, c1);
  });
}

}  // namespace

template <>
void run(const BatchNormBackwardArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) { backward<T>(args); });
}

template <>
void run(const BatchNormSumsArgs& args) {
  with_storage(args.backward.dtype, [&]<class T>(T) { sums<T>(args); });
}

}  // namespace tdds::cpu
