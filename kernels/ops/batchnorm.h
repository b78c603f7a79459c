#pragma once
// Batch normalisation over the rows of an NHWC activation viewed as [M, C], M = B*H*W, with an optional
// residual and an optional ReLU (Ioffe & Szegedy 2015; PyTorch's BatchNorm2d).
//
//   forward   mean_c = avg_m x[m,c];  var_c = avg_m (x[m,c] - mean_c)^2   (shifted: no E[x^2] - mean^2)
//             inv_std = 1 / sqrt(var + eps)
//             y = act( (x - mean) * inv_std * weight + bias + residual )
//             running = (1 - momentum) * running + momentum * {mean, var * M / (M - 1)}
//             batches_tracked += 1
//   backward  g = dy where y > 0 (all of dy without ReLU);  xhat = (x - mean) * inv_std
//             dbias = sum_m g;  dweight = sum_m g * xhat;  dresidual = g
//             dx = weight * inv_std * (g - dbias / M - xhat * dweight / M)
//   inference y = act( (x - running_mean) / sqrt(running_var + eps) * weight + bias + residual )
//
// x, y, dy, dx, residual, dresidual are [M, C] of `dtype`; per-channel values are fp32 [C]. Sums are split
// in a fixed way, so the result does not depend on the number of threads. M >= 2 in training, as in PyTorch.
//
// Where several ranks share a batch (engine/data_parallel.h), M can be the rows of all of them, as in
// PyTorch's SyncBatchNorm. Each rank then leaves what it finds of its own rows, [2][C] (batchnorm_moments and
// batchnorm_sums), and forward and backward take those of all ranks as `partials`. They merge them in a fixed
// order, so all ranks get the same bits.

#include <cstddef>
#include <cstdint>

#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

// The most groups of rows whose partial results a GPU's kernels merge.
inline constexpr std::int32_t kBatchNormGroups = 24;

// Partial results that the convolution next to a batch norm has left for it, or those of all ranks,
// [groups][2][C] floats. Forward: the mean and the sum of squared deviations of each group's rows. Backward:
// the sums of g and g (x - mean).
struct BatchNormPartials {
  const float* groups = nullptr;  // null: batch norm finds them itself
  std::int64_t group_rows = 0;    // of every group but the last
  std::int64_t total_rows = 0;    // M where the groups are the ranks; 0: they are groups of the op's own rows

  std::int64_t rows_of(std::int64_t own_rows) const { return total_rows ? total_rows : own_rows; }
};

// The memory that the convolution uses for them: what batch norm would have used.
struct BatchNormMemory {
  void* workspace = nullptr;         // batchnorm_workspace_bytes()
  std::uint32_t* tickets = nullptr;  // io [batchnorm_tickets()], zero before the call
};

// A batch norm with ReLU, for the convolution that computes the gradient of its output, and so its g.
struct BatchNormGradient {
  const void* x = nullptr;                                          // in [M,C]
  const float *weight = nullptr, *bias = nullptr, *mean = nullptr;  // in [C]
  const float* inv_std = nullptr;                                   // in [C]
  const std::uint8_t* mask = nullptr;  // in  the forward's; null: y is computed again, without a residual
  BatchNormMemory memory;
};

struct BatchNormForwardArgs {
  const void* x;
  const void* residual;               // in  or null
  const float *weight, *bias;         // in  [C]
  float *running_mean, *running_var;  // io  [C]
  std::int64_t* batches_tracked;      // io  [1]
  float *mean, *inv_std;              // out [C], kept for the backward pass
  void* y;                            // out; may alias residual, not x
  std::int64_t rows;                  // M, or those of it that this rank has
  std::int32_t channels;              // C
  float eps, momentum;
  DType dtype;
  bool relu;
  void* workspace;         // batchnorm_workspace_bytes(rows, channels)
  std::uint8_t* mask;      // out batchnorm_mask_bytes(): where y > 0; null where backward does not need it
  std::uint32_t* tickets;  // io  [batchnorm_tickets(channels)], zero before the call
  BatchNormPartials partials = {};  // in  those of a convolution may be in the workspace
};

// What a rank finds of its rows for batchnorm_forward on all ranks.
struct BatchNormMomentsArgs {
  BatchNormForwardArgs forward;  // those of that call, with partials of a convolution or none
  float* moments;                // out [2][C]: mean and sum of squared deviations
};

struct BatchNormBackwardArgs {
  const void* x;
  const void* y;   // in  the forward's output: its sign is the ReLU's mask; may be null without relu
  const void* dy;  // in
  const float *weight, *bias, *mean, *inv_std;  // in [C]
  float *dweight, *dbias;                       // out [C]
  void* dx;                                     // out; may alias dy when dresidual does not
  void* dresidual;                              // out or null; may alias dy
  std::int64_t rows;
  std::int32_t channels;
  DType dtype;
  bool relu;
  void* workspace;
  const std::uint8_t* mask;  // in  the forward's; with relu, may be null only where there was no residual
  std::uint32_t* tickets;    // io  [batchnorm_tickets(channels)], zero before the call
  // in  With those of a convolution, dy is g: relu is false and dresidual null. With those of all ranks,
  // batchnorm_sums has written dweight and dbias, and backward does not.
  BatchNormPartials partials = {};
};

// What a rank finds of its rows for batchnorm_backward on all ranks. It writes dweight and dbias, which are
// the sums over its rows alone, as those of other parameters are: their gradients are added over the ranks.
struct BatchNormSumsArgs {
  BatchNormBackwardArgs backward;  // those of that call, with partials of a convolution or none
  float* sums;                     // out [2][C]: of g and g (x - mean)
};

struct BatchNormInferenceArgs {
  const void* x;
  const void* residual;  // in or null
  const float *weight, *bias, *running_mean, *running_var;
  void* y;  // out; may alias x or residual
  std::int64_t rows;
  std::int32_t channels;
  float eps;
  DType dtype;
  bool relu;
};

// Rows per partial sum of a CPU: the fixed split.
std::int64_t batchnorm_block_rows(std::int32_t channels);

// Scratch memory of the forward and backward passes: two doubles per block of rows and channel, and three
// floats per channel. The same on every device.
std::size_t batchnorm_workspace_bytes(std::int64_t rows, std::int32_t channels);

// The ReLU's mask as a GPU keeps it, one bit a value: a byte for the values of 16 bytes, or for each value
// where these do not divide the channels. A CPU reads the sign of y and ignores the mask. A GPU does not read
// y: without a mask it computes y again from x, rounded as it was stored.
std::size_t batchnorm_mask_bytes(std::int64_t rows, std::int32_t channels, DType dtype);

// Counters with which the blocks of a GPU's kernel find out which of them ends last. Each call needs its own,
// in memory that is zero when the call runs. A CPU ignores them.
std::size_t batchnorm_tickets(std::int32_t channels);

void batchnorm_forward(Stream& stream, const BatchNormForwardArgs& args);
void batchnorm_backward(Stream& stream, const BatchNormBackwardArgs& args);
// The arguments are those of forward and backward, with other partials: the two calls may share the
// workspace, and the tickets, which only the first one uses. Means are rounded to fp32, so the variance of
// all rows keeps its digits where the mean is up to about 1,000 standard deviations.
void batchnorm_moments(Stream& stream, const BatchNormMomentsArgs& args);
void batchnorm_sums(Stream& stream, const BatchNormSumsArgs& args);
void batchnorm_inference(Stream& stream, const BatchNormInferenceArgs& args);

}  // namespace tdds
