#include "kernels/cpu/cpu_ops.h"
#include "kernels/cuda/launchers.h"
#include "kernels/host_stream.h"
#include "kernels/ops.h"

namespace tdds {

// What a library computes on the GPU (convolution, the linear layer, sorting) is the CPU's here.
Backend simt_backend() {
  static constexpr Ops kOps{
      .augment = simt::augment,
      .make_conv2d = cpu::make_conv2d,
      .batchnorm_forward = simt::batchnorm_forward,
      .batchnorm_backward = simt::batchnorm_backward,
      .batchnorm_inference = simt::batchnorm_inference,
      .add = simt::add,
      .relu = simt::relu,
      .relu_backward = simt::relu_backward,
      .global_avg_pool = simt::global_avg_pool,
      .global_avg_pool_backward = simt::global_avg_pool_backward,
      .max_pool = simt::max_pool,
      .max_pool_backward = simt::max_pool_backward,
      .make_linear = cpu::make_linear,
      .feature_norm = simt::feature_norm,
      .softmax_kl = simt::softmax_kl,
      .batch_weight = simt::batch_weight,
      .accumulate = simt::accumulate,
      .check_finite = simt::check_finite,
      .sgd = simt::sgd,
      .advance = simt::advance,
      .window_score = simt::window_score,
      .sort_workspace_bytes = cpu::sort_workspace_bytes,
      .sort_by_score = cpu::sort_by_score,
  };
  return {&kOps, nullptr, make_host_device};
}

}  // namespace tdds
