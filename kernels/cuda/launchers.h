#pragma once
// The ops that are hand-written kernels: functions for the tables of the backends `cuda` and `simt`, each
// defined in the .cu of its name, once in each namespace.

#include "kernels/ops.h"

namespace tdds {

namespace cuda {
void softmax_kl(Stream& stream, const SoftmaxKlArgs& args);
void batch_weight(Stream& stream, const BatchWeightArgs& args);
}  // namespace cuda

namespace simt {
void softmax_kl(Stream& stream, const SoftmaxKlArgs& args);
void batch_weight(Stream& stream, const BatchWeightArgs& args);
}  // namespace simt

}  // namespace tdds
