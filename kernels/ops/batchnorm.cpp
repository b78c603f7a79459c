#include "kernels/ops/batchnorm.h"

#include <algorithm>

#include "kernels/numerics/round_up.h"
#include "kernels/ops/dispatch.h"

namespace tdds {
namespace {

void check_shape(const Stream& stream, const char* op, DType dtype, std::int64_t rows, std::int64_t min_rows,
                 std::int32_t channels) {
  check_type(stream, op, dtype);
  check(rows >= min_rows, "{}: {} values per channel, but at least {} are needed; use a larger batch", op,
        rows, min_rows);
  check(channels > 0, "{}: {} channels; give at least 1", op, channels);
}

double activation_bytes(DType dtype, int activations, std::int64_t rows, std::int32_t channels) {
  return bytes_of(dtype, 1.0 * activations * static_cast<double>(rows) * channels);
}

double mask_bytes(const std::uint8_t* mask, std::int64_t rows, std::int32_t channels, DType dtype) {
  return mask ? static_cast<double>(batchnorm_mask_bytes(rows, channels, dtype)) : 0;
}

}  // namespace

void batchnorm_forward(Stream& stream, const BatchNormForwardArgs& args) {
  check_shape(stream, "batchnorm_forward", args.dtype, args.rows, 2, args.channels);
  check(args.x && args.weight && args.bias && args.running_mean && args.running_var && args.batches_tracked &&
            args.mean && args.inv_std && args.y && args.workspace && args.tickets,
        "batchnorm_forward: only residual and mask may be null");
  check(args.y != args.x, "batchnorm_forward: y must not overwrite x, which the backward pass reads");
  dispatch(stream, "batchnorm_forward", args,
           activation_bytes(args.dtype, args.residual ? 3 : 2, args.rows, args.channels) +
               mask_bytes(args.mask, args.rows, args.channels, args.dtype));
}

void batchnorm_backward(Stream& stream, const BatchNormBackwardArgs& args) {
  check_shape(stream, "batchnorm_backward", args.dtype, args.rows, 2, args.channels);
  check(args.x && args.dy && args.weight && args.bias && args.mean && args.inv_std && args.dweight &&
            args.dbias && args.dx && args.workspace && args.tickets && (args.y || !args.relu),
        "batchnorm_backward: only dresidual, mask and, without relu, y may be null");
  check(args.dx != args.dresidual, "batchnorm_backward: dx and dresidual must not share memory");
  const int activations = 3 + (args.dresidual ? 1 : 0);
  dispatch(stream, "batchnorm_backward", args,
           activation_bytes(args.dtype, activations, args.rows, args.channels) +
               mask_bytes(args.mask, args.rows, args.channels, args.dtype));
}

void batchnorm_inference(Stream& stream, const BatchNormInferenceArgs& args) {
  check_shape(stream, "batchnorm_inference", args.dtype, args.rows, 1, args.channels);
  check(args.x && args.weight && args.bias && args.running_mean && args.running_var && args.y,
        "batchnorm_inference: only residual may be null");
  dispatch(stream, "batchnorm_inference", args,
           activation_bytes(args.dtype, args.residual ? 3 : 2, args.rows, args.channels));
}

std::size_t batchnorm_mask_bytes(std::int64_t rows, std::int32_t channels, DType dtype) {
  const auto vector = static_cast<std::int32_t>(16 / element_size(dtype));
  return static_cast<std::size_t>(rows) *
         static_cast<std::size_t>(channels % vector == 0 ? channels / vector : channels);
}

std::size_t batchnorm_tickets(std::int32_t channels) {
  // One per 16 tiles and per block's width of channels: of at most 384 tiles in all, or one tile per width. A
  // block is at least 8 channels wide, or as wide as the channels.
  return 384 / 16 + static_cast<std::size_t>(ceil_div(channels, 8));
}

std::int64_t batchnorm_block_rows(std::int32_t channels) {
  // A block is read twice: 32 KiB of fp32 stay in the cache between the two reads. At most 128 rows keep the
  // fp32 sums short, at least 16 rows keep the partial sums few.
  constexpr std::int64_t kBlockElements = 8192;
  return std::clamp<std::int64_t>(kBlockElements / channels, 16, 128);
}

std::size_t batchnorm_workspace_bytes(std::int64_t rows, std::int32_t channels) {
  const std::int64_t block = batchnorm_block_rows(channels);
  const std::int64_t blocks = ceil_div(rows, block);
  return static_cast<std::size_t>(channels) *
         (static_cast<std::size_t>(blocks) * 2 * sizeof(double) + 3 * sizeof(float));
}

}  // namespace tdds
