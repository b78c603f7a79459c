#pragma once
// The kernels of an op. A backend defines one for each op, in the file of that op.
//
//   kernels/cpu/relu.cpp  template <> void run(const ReluArgs& args)                  computes
//   kernels/gpu/relu.cu   template <> void run(Stream& stream, const ReluArgs& args)  enqueues: simt, cuda
//
// The op's function in kernels/ops has already checked the arguments. A missing kernel is a link error.

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

namespace simt_counted {
template <class Args>
void run(Stream& stream, const Args& args);
}  // namespace simt_counted

namespace cuda {
template <class Args>
void run(Stream& stream, const Args& args);
}  // namespace cuda

}  // namespace tdds
