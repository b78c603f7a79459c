// The head of a network; contract in kernels/ops/head.h.
//
// Parallel over: forward: images, one block each; its warps divide the classes. Backward: images, for dx, and
//                tiles of 4 classes and 64 features, for dW and db, in blocks of one launch.
// Held in:       registers; backward 4 KiB of shared memory to join the sums of a tile.
// Bytes per row: forward: x once, W from L2. Backward: W and, per tile, the features from L2; dx once.
// Deterministic: each sum has a fixed order.

#include "kernels/ops/head.h"

#include "kernels/gpu/gpu.h"
#include "kernels/gpu/softmax_row.h"
#include "kernels/gpu/vectors.h"

namespace tdds::TDDS_GPU {
namespace {

constexpr std::uint32_t kThreads = 256, kWarps = kThreads / kWarpSize;
constexpr int kClassesAtOnce = 4;  // of a warp, and of a tile of dW
constexpr int kRowsAtOnce = 8;     // of W, loaded by a thread of dx
constexpr std::uint32_t kTileFeatures = 64, kTileGroups = kThreads / kTileFeatures;

template <class T, int kWide>
__device__ void pool_image(const HeadForwardArgs& args, std::int64_t b) {
  const HeadShape& s = args.shape;
  const T* image = static_cast<const T*>(args.x) + b * s.positions * s.features;
  const float share = 1 / static_cast<float>(s.positions);
  for (std::int32_t f = thread_id().x * kWide; f < s.features; f += kThreads * kWide) {
    double sum[kWide] = {};
    for (std::int32_t p = 0; p < s.positions; ++p) {
      const Floats<kWide> values = load<kWide>(image + static_cast<std::int64_t>(p) * s.features + f);
      for (int j = 0; j < kWide; ++j) sum[j] += values.v[j];
    }
    Floats<kWide> mean;
    for (int j = 0; j < kWide; ++j) mean.v[j] = static_cast<float>(sum[j]) * share;
    store<kWide>(args.features + b * s.features + f, mean);
  }
}

// The logits of an image: a warp computes kClassesAtOnce of them at a time.
template <int kWide>
__device__ void multiply_image(const HeadForwardArgs& args, std::int64_t b) {
  const HeadShape& s = args.shape;
  const float* features = args.features + b * s.features;
  const std::int32_t warp = thread_id().x / kWarpSize, lane = rank_in<Group::kWarp>();
  for (std::int32_t first = warp * kClassesAtOnce; first < s.classes; first += kWarps * kClassesAtOnce) {
    float sums[kClassesAtOnce] = {};
    for (std::int32_t f = lane * kWide; f < s.features; f += kWarpSize * kWide) {
      const Floats<kWide> x = load<kWide>(features + f);
      unrolled<kClassesAtOnce>([&](auto i) {
        const std::int32_t k = first + i < s.classes ? first + i : first;
        const Floats<kWide> w = load<kWide>(args.w + static_cast<std::int64_t>(k) * s.features + f);
        for (int j = 0; j < kWide; ++j) sums[i] += x.v[j] * w.v[j];
      });
    }
    unrolled<kClassesAtOnce>([&](auto i) {
      const float sum = warp_sum(sums[i]);
      if (lane == 0 && first + i < s.classes)
        args.logits[b * s.classes + first + i] = sum + args.bias[first + i];
    });
  }
}

template <class T, int kWide, int kWideF>
__global__ void __launch_bounds__(kThreads, 2) head_forward_kernel(HeadForwardArgs args) {
  wait_for_previous();
  const std::int64_t b = block_id().x;
  pool_image<T, kWide>(args, b);
  sync_block();
  multiply_image<kWideF>(args, b);
  if (!args.loss.logits) return;
  sync_block();
  const std::uint32_t warp = thread_id().x / kWarpSize;
  if (args.feature_norm && warp == kWarps - 1) {
    const HeadShape& s = args.shape;
    float squares = 0;
    for (std::int32_t f = rank_in<Group::kWarp>(); f < s.features; f += kWarpSize) {
      const float value = args.features[b * s.features + f];
      squares += value * value;
    }
    squares = warp_sum(squares);
    if (rank_in<Group::kWarp>() == 0)
      args.feature_norm[args.loss.order[args.loss.state->cursor + b]] = sqrtf(squares);
  }
  if (args.shape.classes > kWarpClasses)
    softmax_row<Group::kBlock>(args.loss, b);
  else if (warp == 0)
    softmax_row<Group::kWarp>(args.loss, b);
}

// dx of an image: the gradient of a feature, for each of its positions.
template <class T, int kWide>
__device__ void backward_image(const HeadBackwardArgs& args, std::int64_t b) {
  const HeadShape& s = args.shape;
  const float* dlogits = args.dlogits + b * s.classes;
  T* image = static_cast<T*>(args.dx) + b * s.positions * s.features;
  for (std::int32_t f = thread_id().x * kWide; f < s.features; f += kThreads * kWide) {
    Floats<kWide> sum = filled<kWide>(0);
    for (std::int32_t first = 0; first < s.classes; first += kRowsAtOnce) {
      Floats<kWide> w[kRowsAtOnce];
      unrolled<kRowsAtOnce>([&](auto i) {
        const std::int32_t k = first + i < s.classes ? first + i : first;
        w[i] = load<kWide>(args.w + static_cast<std::int64_t>(k) * s.features + f);
      });
      unrolled<kRowsAtOnce>([&](auto i) {
        const float dy = first + i < s.classes ? dlogits[first + i] : 0.0f;
        for (int j = 0; j < kWide; ++j) sum.v[j] += dy * w[i].v[j];
      });
    }
    for (int j = 0; j < kWide; ++j) sum.v[j] /= static_cast<float>(s.positions);
    for (std::int32_t p = 0; p < s.positions; ++p)
      store<kWide>(image + static_cast<std::int64_t>(p) * s.features + f, sum);
  }
}

// A tile of dW, and with the first features its part of db. kTileGroups groups of threads divide the images.
__device__ void backward_tile(const HeadBackwardArgs& args, std::int32_t first_class,
                              std::int32_t first_feature) {
  const HeadShape& s = args.shape;
  const std::int32_t f = first_feature + thread_id().x % kTileFeatures;
  const std::uint32_t group = thread_id().x / kTileFeatures;
  float sums[kClassesAtOnce] = {}, biases[kClassesAtOnce] = {};
  for (std::int32_t b = group; b < s.batch; b += kTileGroups) {
    const float x = f < s.features ? args.features[static_cast<std::int64_t>(b) * s.features + f] : 0.0f;
    unrolled<kClassesAtOnce>([&](auto i) {
      const std::int32_t k = first_class + i;
      const float dy = k < s.classes ? args.dlogits[static_cast<std::int64_t>(b) * s.classes + k] : 0.0f;
      sums[i] += dy * x;
      biases[i] += dy;
    });
  }
  float* shares = shared<float>(2 * kClassesAtOnce * kThreads);
  unrolled<kClassesAtOnce>([&](auto i) {
    shares[i * kThreads + thread_id().x] = sums[i];
    shares[(kClassesAtOnce + i) * kThreads + thread_id().x] = biases[i];
  });
  sync_block();
  if (group != 0 || f >= s.features) return;
  unrolled<kClassesAtOnce>([&](auto i) {
    const std::int32_t k = first_class + i;
    if (k >= s.classes) return;
    float sum = sums[i], bias = biases[i];
    for (std::uint32_t other = 1; other < kTileGroups; ++other) {
      sum += shares[i * kThreads + thread_id().x + other * kTileFeatures];
      bias += shares[(kClassesAtOnce + i) * kThreads + thread_id().x + other * kTileFeatures];
    }
    args.dw[static_cast<std::int64_t>(k) * s.features + f] = sum;
    if (f == 0) args.db[k] = bias;
  });
}

// The first blocks process an image each, the others a tile each.
template <class T, int kWide>
__global__ void __launch_bounds__(kThreads)
    head_backward_kernel(HeadBackwardArgs args, std::uint32_t across) {
  wait_for_previous();
  const std::uint32_t images = args.shape.batch;
  if (block_id().x < images) return backward_image<T, kWide>(args, block_id().x);
  const std::uint32_t tile = block_id().x - images;
  backward_tile(args, tile / across * kClassesAtOnce, tile % across * kTileFeatures);
}

}  // namespace

template <>
void run(Stream& stream, const HeadForwardArgs& args) {
  const char* name = "head_forward";
  const HeadShape& s = args.shape;
  with_float_type(name, s.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Dim3 grid{blocks_for(s.batch, 1)};
    if (s.features % kVector<T> == 0)
      launch(stream, name, head_forward_kernel<T, kVector<T>, 4>, grid, {kThreads}, 0, args);
    else
      launch(stream, name, head_forward_kernel<T, 1, 1>, grid, {kThreads}, 0, args);
  });
}

template <>
void run(Stream& stream, const HeadBackwardArgs& args) {
  const char* name = "head_backward";
  const HeadShape& s = args.shape;
  with_float_type(name, s.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::uint32_t across = blocks_for(s.features, kTileFeatures);
    const std::int64_t tiles = std::int64_t{across} * blocks_for(s.classes, kClassesAtOnce);
    const Dim3 grid{blocks_for(s.batch + tiles, 1)};
    const std::size_t shared_bytes = 2 * kClassesAtOnce * kThreads * sizeof(float);
    if (s.features % kVector<T> == 0)
      launch(stream, name, head_backward_kernel<T, kVector<T>>, grid, {kThreads}, shared_bytes, args, across);
    else
      launch(stream, name, head_backward_kernel<T, 1>, grid, {kThreads}, shared_bytes, args, across);
  });
}

}  // namespace tdds::TDDS_GPU
