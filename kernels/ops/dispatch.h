#pragma once
// How the functions of kernels/ops call the kernels of the stream's device. Such a function checks its
// arguments, computes how many bytes the op moves, and dispatches:
//
//   void relu(Stream& stream, const ReluArgs& args) {
//     check_type(stream, "relu", args.dtype);
//     check(args.x && args.y, "relu: pointers must not be null");
//     dispatch(stream, "relu", args, bytes_of(args.dtype, 2 * args.n));
//   }

#include <concepts>
#include <string_view>

#include "kernels/ops/op_work.h"
#include "kernels/ops/ops.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

// Throws Error unless the device supports `dtype`: f32, bf16 and, except on the CPU, f16.
void check_type(const Stream& stream, std::string_view op, DType dtype);

// The size of `n` elements of a type, in bytes.
double bytes_of(DType dtype, std::convertible_to<double> auto n) {
  return static_cast<double>(n) * static_cast<double>(element_size(dtype));
}

// `bytes` and `fp32_flops` are the op's least work, for a device that counts it.
template <class Args>
void dispatch(Stream& stream, const char* name, const Args& args, double bytes, double fp32_flops = 0) {
  switch (stream.device().ops().kernels) {
    case Kernels::kCpu:
      return enqueue(stream, name, args, cpu::run<Args>);
    case Kernels::kSimt:
      return simt::run(stream, args);
    case Kernels::kSimtCounted:
      if constexpr (TDDS_HAVE_COUNTED_KERNELS) return simt_counted::run(stream, args);
      break;
    case Kernels::kCuda:
      if constexpr (TDDS_HAVE_CUDA) return cuda::run(stream, args);
      break;
    case Kernels::kCounted:
      return count_op(stream, {.name = name, .bytes = bytes, .fp32_flops = fp32_flops, .args = args},
                      [=](Stream& other) { dispatch(other, name, args, bytes, fp32_flops); });
    case Kernels::kNone:
      break;
  }
  throw Error(fmt::format("{}: this device has no kernels", name));
}

}  // namespace tdds
