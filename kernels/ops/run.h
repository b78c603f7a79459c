#pragma once
// The kernel of an op: what a backend defines for it, in the file of that op.
//
//   kernels/cpu/relu.cpp  template <> void run(const ReluArgs& args)                  computes
//   kernels/gpu/relu.cu   template <> void run(Stream& stream, const ReluArgs& args)  enqueues: simt and cuda
//
// The arguments have been checked by the op's own function in kernels/ops. A kernel that is missing is an
// error of the linker.

namespace tdds {

class Stream;

namespace cpu {
template <class Args>
void run(const Args& args);
}  // namespace cpu

namespace simt {
template <class Args>
void run(Stream& stream, const Args& args);
}  // namespace simt

namespace cuda {
template <class Args>
void run(Stream& stream, const Args& args);
}  // namespace cuda

}  // namespace tdds
