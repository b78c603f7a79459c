#include "kernels/ops/batchnorm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/batchnorm_workspace.h"
#include "kernels/cpu/storage.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

// Mean and sum of squared deviations of a block of rows, per channel. The first sum is taken about the first
// row, the second about the mean found that way, so there is no cancellation when the mean is far from 0.
template <class T>
struct BlockMoments {
  [[gnu::always_inline]] static inline void run(const T* x, std::int64_t rows, std::int64_t channels,
                                                double* mean, double* squares) {
    float sum[kTile], square[kTile], center[kTile], origin[kTile];
    for (std::int64_t c0 = 0; c0 < channels; c0 += kTile) {
      const std::int64_t width = std::min(kTile, channels - c0);
      const T* tile = x + c0;
      for (std::int64_t c = 0; c < width; ++c) {
        origin[c] = to_float(tile[c]);
        sum[c] = 0;
      }
      for (std::int64_t r = 1; r < rows; ++r) {
        const T* row = tile + r * channels;
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) sum[c] += to_float(row[c]) - origin[c];
      }
      for (std::int64_t c = 0; c < width; ++c) {
        center[c] = origin[c] + sum[c] / static_cast<float>(rows);
        sum[c] = square[c] = 0;
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        const T* row = tile + r * channels;
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          const float d = to_float(row[c]) - center[c];
          sum[c] += d;
          square[c] += d * d;
        }
      }
      for (std::int64_t c = 0; c < width; ++c) {
        const double rest = static_cast<double>(sum[c]) / static_cast<double>(rows);
        mean[c0 + c] = center[c] + rest;
        squares[c0 + c] = square[c] - rest * sum[c];
      }
    }
  }
};

// Mean and squared deviations of all rows, merged group by group (Chan, Golub & LeVeque 1979). The groups are
// [groups][2][channels].
struct Moments {
  double mean[kMergeChannels], squares[kMergeChannels];

  template <class T>
  Moments(const T* groups, std::int64_t group_rows, std::int64_t rows, std::int64_t channels, std::int64_t c0,
          std::int64_t width) {
    std::copy_n(groups + c0, width, mean);
    std::copy_n(groups + channels + c0, width, squares);
    for (std::int64_t before = group_rows; before < rows; before += group_rows) {
      groups += 2 * channels;
      const std::int64_t added = std::min(rows - before, group_rows);
      const double share = static_cast<double>(added) / static_cast<double>(before + added);
      for (std::int64_t c = 0; c < width; ++c) {
        const double delta = groups[c0 + c] - mean[c];
        mean[c] += delta * share;
        squares[c] += groups[channels + c0 + c] + delta * delta * share * static_cast<double>(before);
      }
    }
  }
};

// y = act((x - mean) * scale + bias + residual) over rows of `channels` values.
template <class T>
struct Affine {
  const T *x, *residual;
  T* y;
  const float *mean, *scale, *bias;
  std::int64_t channels;
  bool relu;
};

template <class T, bool kResidual, bool kRelu>
struct ApplyAffine {
  [[gnu::always_inline]] static inline void run(Affine<T> a, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* x = a.x + r * a.channels;
      const T* residual = kResidual ? a.residual + r * a.channels : nullptr;
      T* y = a.y + r * a.channels;
#pragma omp simd
      for (std::int64_t c = 0; c < a.channels; ++c) {
        float value = (to_float(x[c]) - a.mean[c]) * a.scale[c] + a.bias[c];
        if constexpr (kResidual) value += to_float(residual[c]);
        if constexpr (kRelu) value = value < 0 ? 0 : value;  // a NaN stays
        y[c] = from_float<T>(value);
      }
    }
  }
};

template <class T>
void apply_affine(const Affine<T>& a, std::int64_t rows) {
  const std::int64_t block = batchnorm_block_rows(static_cast<std::int32_t>(a.channels));
  const std::int64_t blocks = ceil_div(rows, block);
  const auto kernel = [&a](std::int64_t begin, std::int64_t end) {
    if (a.residual)
      a.relu ? run_vectorized<ApplyAffine<T, true, true>>(a, begin, end)
             : run_vectorized<ApplyAffine<T, true, false>>(a, begin, end);
    else
      a.relu ? run_vectorized<ApplyAffine<T, false, true>>(a, begin, end)
             : run_vectorized<ApplyAffine<T, false, false>>(a, begin, end);
  };
  // Last rows first: the previous pass left them in the cache.
  parallel_for(blocks, block * a.channels, [&](std::int64_t i) {
    const std::int64_t begin = (blocks - 1 - i) * block;
    kernel(begin, std::min(rows, begin + block));
  });
}

void finish_forward(const BatchNormForwardArgs& args, const Moments& moments, float* scale, std::int64_t c0,
                    std::int64_t c1) {
  const double n = static_cast<double>(args.partials.rows_of(args.rows)), momentum = args.momentum;
  const auto blend = [&](float& running, double value) {
    running = static_cast<float>((1 - momentum) * running + momentum * value);
  };
  for (std::int64_t c = c0; c < c1; ++c) {
    const double mean = moments.mean[c - c0], squares = moments.squares[c - c0];
    args.mean[c] = static_cast<float>(mean);
    args.inv_std[c] = static_cast<float>(1 / std::sqrt(squares / n + args.eps));
    scale[c] = args.weight[c] * args.inv_std[c];
    blend(args.running_mean[c], mean);
    blend(args.running_var[c], squares / (n - 1));
  }
}

// Calls take(moments, c0, c1) for ranges of channels, with what `partials` holds or, without it, with the
// moments of the rows of x.
template <class T, class Take>
void for_all_moments(const BatchNormForwardArgs& args, const BatchNormWorkspace& work, const Take& take) {
  const BatchNormPartials& partials = args.partials;
  const std::int64_t channels = work.channels;
  const auto merge = [&](const auto* groups, std::int64_t group_rows, std::int64_t rows) {
    parallel_blocks(channels, kMergeChannels, 2 * ceil_div(rows, group_rows),
                    [&](std::int64_t c0, std::int64_t c1) {
                      take(Moments(groups, group_rows, rows, channels, c0, c1 - c0), c0, c1);
                    });
  };
  if (partials.groups) return merge(partials.groups, partials.group_rows, partials.rows_of(args.rows));
  const auto* x = static_cast<const T*>(args.x);
  parallel_for(work.blocks, work.block_rows * channels, [&](std::int64_t block) {
    const std::int64_t begin = block * work.block_rows, rows = std::min(args.rows - begin, work.block_rows);
    run_vectorized<BlockMoments<T>>(x + begin * channels, rows, channels, work.first(block),
                                    work.second(block));
  });
  merge(work.sums, work.block_rows, args.rows);
}

template <class T>
void forward(const BatchNormForwardArgs& args) {
  const BatchNormWorkspace work(args.workspace, args.rows, args.channels);
  for_all_moments<T>(args, work, [&](const Moments& moments, std::int64_t c0, std::int64_t c1) {
    finish_forward(args, moments, work.coefficient(0), c0, c1);
  });
  *args.batches_tracked += 1;
  apply_affine<T>(
      {static_cast<const T*>(args.x), static_cast<const T*>(args.residual), static_cast<T*>(args.y),
       args.mean, work.coefficient(0), args.bias, work.channels, args.relu},
      args.rows);
}

template <class T>
void moments(const BatchNormMomentsArgs& args) {
  const BatchNormWorkspace work(args.forward.workspace, args.forward.rows, args.forward.channels);
  for_all_moments<T>(args.forward, work, [&](const Moments& found, std::int64_t c0, std::int64_t c1) {
    std::copy_n(found.mean, c1 - c0, args.moments + c0);
    std::copy_n(found.squares, c1 - c0, args.moments + work.channels + c0);
  });
}

template <class T>
void inference(const BatchNormInferenceArgs& args) {
  std::vector<float> scale(static_cast<std::size_t>(args.channels));
  for (std::size_t c = 0; c < scale.size(); ++c)
    scale[c] =
        static_cast<float>(args.weight[c] / std::sqrt(static_cast<double>(args.running_var[c]) + args.eps));
  apply_affine<T>(
      {static_cast<const T*>(args.x), static_cast<const T*>(args.residual), static_cast<T*>(args.y),
       args.running_mean, scale.data(), args.bias, args.channels, args.relu},
      args.rows);
}

}  // namespace

template <>
void run(const BatchNormForwardArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) { forward<T>(args); });
}

template <>
void run(const BatchNormMomentsArgs& args) {
  with_storage(args.forward.dtype, [&]<class T>(T) { moments<T>(args); });
}

template <>
void run(const BatchNormInferenceArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) { inference<T>(args); });
}

}  // namespace tdds::cpu
