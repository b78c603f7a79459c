#include "kernels/ops/batchnorm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/storage.h"
#include "kernels/numerics/round_up.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"
#include "kernels/runtime/vectorize.h"

namespace tdds::cpu {
namespace {

// Channels summed at a time: their accumulators stay in the L1 cache.
constexpr std::int64_t kTile = 256;
// Channels whose partial sums one thread merges.
constexpr std::int64_t kMergeChannels = 16;

// The partial sums of each block of rows, [blocks][2][channels], then the coefficients of the second pass.
struct Workspace {
  Workspace(void* memory, std::int64_t rows, std::int32_t channel_count)
      : channels(channel_count),
        block_rows(batchnorm_block_rows(channel_count)),
        blocks(ceil_div(rows, block_rows)),
        sums(static_cast<double*>(memory)),
        coefficients(reinterpret_cast<float*>(sums + blocks * 2 * channels)) {}

  double* first(std::int64_t block) const { return sums + block * 2 * channels; }
  double* second(std::int64_t block) const { return first(block) + channels; }
  float* coefficient(int i) const { return coefficients + i * channels; }

  std::int64_t channels, block_rows, blocks;
  double* sums;
  float* coefficients;
};

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

// Mean and squared deviations of all rows, merged block by block (Chan, Golub & LeVeque 1979).
struct Moments {
  double mean[kMergeChannels], squares[kMergeChannels];

  Moments(const Workspace& work, std::int64_t rows, std::int64_t c0, std::int64_t width) {
    std::copy_n(work.first(0) + c0, width, mean);
    std::copy_n(work.second(0) + c0, width, squares);
    for (std::int64_t block = 1; block < work.blocks; ++block) {
      const std::int64_t before = block * work.block_rows, added = std::min(rows - before, work.block_rows);
      const double share = static_cast<double>(added) / static_cast<double>(before + added);
      const double* block_mean = work.first(block) + c0;
      const double* block_squares = work.second(block) + c0;
      for (std::int64_t c = 0; c < width; ++c) {
        const double delta = block_mean[c] - mean[c];
        mean[c] += delta * share;
        squares[c] += block_squares[c] + delta * delta * share * static_cast<double>(before);
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

void finish_forward(const BatchNormForwardArgs& args, const Workspace& work, std::int64_t c0,
                    std::int64_t c1) {
  const Moments moments(work, args.rows, c0, c1 - c0);
  const double n = static_cast<double>(args.rows), momentum = args.momentum;
  const auto blend = [&](float& running, double value) {
    running = static_cast<float>((1 - momentum) * running + momentum * value);
  };
  for (std::int64_t c = c0; c < c1; ++c) {
    const double mean = moments.mean[c - c0], squares = moments.squares[c - c0];
    args.mean[c] = static_cast<float>(mean);
    args.inv_std[c] = static_cast<float>(1 / std::sqrt(squares / n + args.eps));
    work.coefficient(0)[c] = args.weight[c] * args.inv_std[c];
    blend(args.running_mean[c], mean);
    blend(args.running_var[c], squares / (n - 1));
  }
}

template <class T>
void forward(const BatchNormForwardArgs& args) {
  const Workspace work(args.workspace, args.rows, args.channels);
  const auto* x = static_cast<const T*>(args.x);
  parallel_for(work.blocks, work.block_rows * work.channels, [&](std::int64_t block) {
    const std::int64_t begin = block * work.block_rows, rows = std::min(args.rows - begin, work.block_rows);
    run_vectorized<BlockMoments<T>>(x + begin * work.channels, rows, work.channels, work.first(block),
                                    work.second(block));
  });
  parallel_blocks(work.channels, kMergeChannels, 2 * work.blocks,
                  [&](std::int64_t c0, std::int64_t c1) { finish_forward(args, work, c0, c1); });
  *args.batches_tracked += 1;
  apply_affine<T>({x, static_cast<const T*>(args.residual), static_cast<T*>(args.y), args.mean,
                   work.coefficient(0), args.bias, work.channels, args.relu},
                  args.rows);
}

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

void finish_backward(const BatchNormBackwardArgs& args, const Workspace& work, std::int64_t c0,
                     std::int64_t c1) {
  double sum[kMergeChannels] = {}, product[kMergeChannels] = {};
  for (std::int64_t block = 0; block < work.blocks; ++block)
    for (std::int64_t c = c0; c < c1; ++c) {
      sum[c - c0] += work.first(block)[c];
      product[c - c0] += work.second(block)[c];
    }
  const double n = static_cast<double>(args.rows);
  for (std::int64_t c = c0; c < c1; ++c) {
    const double inv_std = args.inv_std[c], dweight = product[c - c0] * inv_std;
    args.dbias[c] = static_cast<float>(sum[c - c0]);
    args.dweight[c] = static_cast<float>(dweight);
    work.coefficient(0)[c] = static_cast<float>(args.weight[c] * inv_std);
    work.coefficient(1)[c] = static_cast<float>(sum[c - c0] / n);
    work.coefficient(2)[c] = static_cast<float>(inv_std * dweight / n);
  }
}

template <class T>
void backward(const BatchNormBackwardArgs& args) {
  const Workspace work(args.workspace, args.rows, args.channels);
  const Gradient<T> a{static_cast<const T*>(args.x),
                      static_cast<const T*>(args.y),
                      static_cast<const T*>(args.dy),
                      static_cast<T*>(args.dx),
                      static_cast<T*>(args.dresidual),
                      args.mean,
                      work.coefficient(0),
                      work.coefficient(1),
                      work.coefficient(2),
                      work.channels};
  parallel_for(work.blocks, work.block_rows * work.channels, [&](std::int64_t block) {
    const std::int64_t begin = block * work.block_rows, end = std::min(args.rows, begin + work.block_rows);
    if (args.relu)
      run_vectorized<BlockGradientSums<T, true>>(a, begin, end, work.first(block), work.second(block));
    else
      run_vectorized<BlockGradientSums<T, false>>(a, begin, end, work.first(block), work.second(block));
  });
  parallel_blocks(work.channels, kMergeChannels, 2 * work.blocks,
                  [&](std::int64_t c0, std::int64_t c1) { finish_backward(args, work, c0, c1); });
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
void run(const BatchNormBackwardArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) { backward<T>(args); });
}

template <>
void run(const BatchNormInferenceArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) { inference<T>(args); });
}

}  // namespace tdds::cpu
