#include "kernels/cuda/conv2d.h"
#include "kernels/cuda/described_gpu.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/sort.h"
#include "kernels/ops.h"

namespace tdds {

Backend cuda_backend() {
  static constexpr Ops kOps{
      .augment = cuda::augment,
      .make_conv2d = make_cuda_conv2d,
      .batchnorm_forward = cuda::batchnorm_forward,
      .batchnorm_backward = cuda::batchnorm_backward,
      .batchnorm_inference = cuda::batchnorm_inference,
      .add = cuda::add,
      .relu = cuda::relu,
      .relu_backward = cuda::relu_backward,
      .global_avg_pool = cuda::global_avg_pool,
      .global_avg_pool_backward = cuda::global_avg_pool_backward,
      .max_pool = cuda::max_pool,
      .max_pool_backward = cuda::max_pool_backward,
      .make_linear = make_cuda_linear,
      .feature_norm = cuda::feature_norm,
      .softmax_kl = cuda::softmax_kl,
      .batch_weight = cuda::batch_weight,
      .accumulate = cuda::accumulate,
      .check_finite = cuda::check_finite,
      .sgd = cuda::sgd,
      .advance = cuda::advance,
      .window_score = cuda::window_score,
      .sort_workspace_bytes = cuda::sort_workspace_bytes,
      .sort_by_score = cuda::sort_by_score,
  };
  return {&kOps, nullptr, make_cuda_device, machine_has_gpu, described_gpu_names, make_described_gpu_of};
}

}  // namespace tdds
