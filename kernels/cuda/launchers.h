#pragma once
// The ops that are hand-written kernels: functions for the tables of the backends `cuda` and `simt`, each
// defined in a .cu of this folder, once in each namespace.

#include "kernels/ops.h"

namespace tdds {

namespace cuda {
void augment(Stream& stream, const AugmentArgs& args);
void batchnorm_forward(Stream& stream, const BatchNormForwardArgs& args);
void batchnorm_backward(Stream& stream, const BatchNormBackwardArgs& args);
void batchnorm_inference(Stream& stream, const BatchNormInferenceArgs& args);
void add(Stream& stream, const AddArgs& args);
void relu(Stream& stream, const ReluArgs& args);
void relu_backward(Stream& stream, const ReluBackwardArgs& args);
void global_avg_pool(Stream& stream, const GlobalAvgPoolArgs& args);
void global_avg_pool_backward(Stream& stream, const GlobalAvgPoolBackwardArgs& args);
void max_pool(Stream& stream, const MaxPoolArgs& args);
void max_pool_backward(Stream& stream, const MaxPoolBackwardArgs& args);
void feature_norm(Stream& stream, const FeatureNormArgs& args);
void softmax_kl(Stream& stream, const SoftmaxKlArgs& args);
void batch_weight(Stream& stream, const BatchWeightArgs& args);
void accumulate(Stream& stream, const AccumulateArgs& args);
void check_finite(Stream& stream, const CheckFiniteArgs& args);
void sgd(Stream& stream, const SgdArgs& args);
void advance(Stream& stream, const AdvanceArgs& args);
void window_score(Stream& stream, const WindowScoreArgs& args);
}  // namespace cuda

namespace simt {
void augment(Stream& stream, const AugmentArgs& args);
void batchnorm_forward(Stream& stream, const BatchNormForwardArgs& args);
void batchnorm_backward(Stream& stream, const BatchNormBackwardArgs& args);
void batchnorm_inference(Stream& stream, const BatchNormInferenceArgs& args);
void add(Stream& stream, const AddArgs& args);
void relu(Stream& stream, const ReluArgs& args);
void relu_backward(Stream& stream, const ReluBackwardArgs& args);
void global_avg_pool(Stream& stream, const GlobalAvgPoolArgs& args);
void global_avg_pool_backward(Stream& stream, const GlobalAvgPoolBackwardArgs& args);
void max_pool(Stream& stream, const MaxPoolArgs& args);
void max_pool_backward(Stream& stream, const MaxPoolBackwardArgs& args);
void feature_norm(Stream& stream, const FeatureNormArgs& args);
void softmax_kl(Stream& stream, const SoftmaxKlArgs& args);
void batch_weight(Stream& stream, const BatchWeightArgs& args);
void accumulate(Stream& stream, const AccumulateArgs& args);
void check_finite(Stream& stream, const CheckFiniteArgs& args);
void sgd(Stream& stream, const SgdArgs& args);
void advance(Stream& stream, const AdvanceArgs& args);
void window_score(Stream& stream, const WindowScoreArgs& args);
}  // namespace simt

}  // namespace tdds
