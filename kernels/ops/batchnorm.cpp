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

// The rows that the op needs at least. A rank may have a single one, and does not know those of the others.
std::int64_t least_rows(const char* op, const BatchNormPartials& partials, std::int64_t rows) {
  if (!partials.total_rows) return 2;
  check(partials.groups && partials.group_rows > 0 && partials.total_rows >= std::max<std::int64_t>(2, rows),
        "{}: {} rows of all ranks, {} of one and {} of this one do not fit", op, partials.total_rows,
        partials.group_rows, rows);
  return 1;
}

void check_forward(const Stream& stream, const char* op, const BatchNormForwardArgs& args,
                   std::int64_t min_rows) {
  check_shape(stream, op, args.dtype, args.rows, min_rows, args.channels);
  check(args.x && args.weight && args.bias && args.running_mean && args.running_var && args.batches_tracked &&
            args.mean && args.inv_std && args.y && args.workspace && args.tickets,
        "{}: only residual and mask may be null", op);
  check(args.y != args.x, "{}: y must not overwrite x, which the backward pass reads", op);
}

void check_backward(const Stream& stream, const char* op, const BatchNormBackwardArgs& args,
                    std::int64_t min_rows) {
  check_shape(stream, op, args.dtype, args.rows, min_rows, args.channels);
  check(args.x && args.dy && args.weight && args.bias && args.mean && args.inv_std && args.dweight &&
            args.dbias && args.dx && args.workspace && args.tickets && (args.y || !args.relu),
        "{}: only dresidual, mask and, without relu, y may be null", op);
  check(!args.partials.groups || args.partials.total_rows || (!args.relu && !args.dresidual),
        "{}: with partials of a convolution, dy is g, so there is neither a relu nor a dresidual", op);
  check(args.dx != args.dresidual, "{}: dx and dresidual must not share memory", op);
}

}  // namespace

void batchnorm_forward(Stream& stream, const BatchNormForwardArgs& args) {
  check_forward(stream, "batchnorm_forward", args, least_rows("batchnorm_forward", args.partials, args.rows));
  dispatch(stream, "batchnorm_forward", args,
           activation_bytes(args.dtype, args.residual ? 3 : 2, args.rows, args.channels) +
               mask_bytes(args.mask, args.rows, args.channels, args.dtype));
}

void batchnorm_moments(Stream& stream, const BatchNormMomentsArgs& args) {
  const BatchNormForwardArgs& a = args.forward;
  check(args.moments && !a.partials.total_rows,
        "batchnorm_moments: moments must not be null, and the partials are of this rank's rows");
  check_forward(stream, "batchnorm_moments", a, 1);
  dispatch(stream, "batchnorm_moments", args, activation_bytes(a.dtype, 1, a.rows, a.channels));
}

void batchnorm_backward(Stream& stream, const BatchNormBackwardArgs& args) {
  check_backward(stream, "batchnorm_backward", args,
                 least_rows("batchnorm_backward", args.partials, args.rows));
  const int activations = 3 + (args.dresidual ? 1 : 0);
  dispatch(stream, "batchnorm_backward", args,
           activation_bytes(args.dtype, activations, args.rows, args.channels) +
               mask_bytes(args.mask, args.rows, args.channels, args.dtype));
}

void batchnorm_sums(Stream& stream, const BatchNormSumsArgs& args) {
  const BatchNormBackwardArgs& a = args.backward;
  check(args.sums && !a.partials.total_rows,
        "batchnorm_sums: sums must not be null, and the partials are of this rank's rows");
  check_backward(stream, "batchnorm_sums", a, 1);
  dispatch(
      stream, "batchnorm_sums", args,
      activation_bytes(a.dtype, 2, a.rows, a.channels) + mask_bytes(a.mask, a.rows, a.channels, a.dtype));
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
  // One per group of rows and block's width of channels. Batch norm's own kernels have at most
  // kBatchNormGroups of these, or one per width, which is at least 8 channels or all of them. A convolution's
  // blocks are at least 64 channels wide.
  const std::int32_t tickets = kBatchNormGroups * ceil_div(channels, 64) + ceil_div(channels, 8);
  return static_cast<std::size_t>(tickets);
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
