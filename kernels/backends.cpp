#include "kernels/cpu/cpu_ops.h"
#include "kernels/host_stream.h"
#include "kernels/ops.h"

namespace tdds {

Backend cpu_backend() {
  static constexpr Ops kOps{
      .augment = cpu::augment,
      .make_conv2d = cpu::make_conv2d,
      .batchnorm_forward = cpu::batchnorm_forward,
      .batchnorm_backward = cpu::batchnorm_backward,
      .batchnorm_inference = cpu::batchnorm_inference,
      .add = cpu::add,
      .relu = cpu::relu,
      .relu_backward = cpu::relu_backward,
      .global_avg_pool = cpu::global_avg_pool,
      .global_avg_pool_backward = cpu::global_avg_pool_backward,
      .max_pool = cpu::max_pool,
      .max_pool_backward = cpu::max_pool_backward,
      .make_linear = cpu::make_linear,
      .feature_norm = cpu::feature_norm,
      .softmax_kl = cpu::softmax_kl,
      .batch_weight = cpu::batch_weight,
      .accumulate = cpu::accumulate,
      .check_finite = cpu::check_finite,
      .sgd = cpu::sgd,
      .advance = cpu::advance,
      .window_score = cpu::window_score,
      .sort_workspace_bytes = cpu::sort_workspace_bytes,
      .sort_by_score = cpu::sort_by_score,
  };
  return {&kOps, nullptr, make_host_device};
}

}  // namespace tdds
