#pragma once
// The functions behind cpu_backend(), one source file per op in this folder.

#include "kernels/ops.h"

namespace tdds::cpu {

void augment(Stream& stream, const AugmentArgs& args);
std::unique_ptr<Conv2d> make_conv2d(Device& device, const Conv2dSpec& spec);
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
std::unique_ptr<Linear> make_linear(Device& device, const LinearSpec& spec);
void feature_norm(Stream& stream, const FeatureNormArgs& args);
void softmax_kl(Stream& stream, const SoftmaxKlArgs& args);
void batch_weight(Stream& stream, const BatchWeightArgs& args);
void accumulate(Stream& stream, const AccumulateArgs& args);
void check_finite(Stream& stream, const CheckFiniteArgs& args);
void sgd(Stream& stream, const SgdArgs& args);
void advance(Stream& stream, const AdvanceArgs& args);
void window_score(Stream& stream, const WindowScoreArgs& args);
std::size_t sort_workspace_bytes(std::int64_t n);
void sort_by_score(Stream& stream, const SortArgs& args);

}  // namespace tdds::cpu
