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

// Defined by kernels/planning.
void count_bytes(Stream& stream, double bytes);
// Counts operations in fp32 where the stream's device only plans.
void count_fp32_flops(Stream& stream, double flops);

// `bytes` is the least that the op moves: each operand once. A planning device counts it.
template <class Args>
void dispatch(Stream& stream, const char* name, const Args& args, double bytes) {
  switch (stream.device().ops().kernels) {
    case Kernels::kCpu:
      return enqueue(stream, name, args, cpu::run<Args>);
    case Kernels::kSimt:
      return simt::run(stream, args);
    case Kernels::kCuda:
      if constexpr (TDDS_HAVE_CUDA) return cuda::run(stream, args);
      break;
    case Kernels::kCounted:
      return count_bytes(stream, bytes);
    case Kernels::kNone:
      break;
  }
  throw Error(fmt::format("{}: this device has no kernels", name));
}

}  // namespace tdds
