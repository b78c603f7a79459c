#include "kernels/cuda/cublas/linear.h"

#include "kernels/cuda/libraries.h"
#include "kernels/cuda/stream.h"
#include "kernels/gpu/bias.h"
#include "kernels/ops/run.h"

namespace tdds {
namespace {

// Strict fp32: the pedantic type neither rounds to TF32 nor emulates, regardless of the math mode and the
// environment (cublas_api.h, cublasComputeType_t).
void multiply(Stream& stream, const char* name, const Gemm& gemm, const float* a, const float* b, float* c) {
  const float one = 1, zero = 0;  // read by the call: the pointer mode is HOST
  CudaCommand command(stream, name);
  CHECK_CUDA(cublasGemmEx(cuda_stream(stream).cublas(), gemm.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                          gemm.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, gemm.m, gemm.n, gemm.k, &one, a,
                          CUDA_R_32F, gemm.lda, b, CUDA_R_32F, gemm.ldb, &zero, c, CUDA_R_32F, gemm.ldc,
                          CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT));
  command.finish();
}

class CudaLinear final : public Linear {
 public:
  using Linear::Linear;

  void forward(Stream& stream, const float* x, const float* w, const float* b, float* y) override {
    multiply(stream, "linear forward", linear_forward_gemm(spec()), w, x, y);
    cuda::run(stream, AddBiasArgs{.bias = b, .y = y, .batch = spec().batch, .features = spec().out_features});
  }

  void backward(Stream& stream, const float* x, const float* w, const float* dy, float* dx, float* dw,
                float* db) override {
    multiply(stream, "linear backward data", linear_data_gemm(spec()), w, dy, dx);
    multiply(stream, "linear backward filter", linear_filter_gemm(spec()), x, dy, dw);
    cuda::run(stream, BiasGradientArgs{
                          .dy = dy, .dbias = db, .batch = spec().batch, .features = spec().out_features});
  }
};

}  // namespace

Gemm linear_forward_gemm(const LinearSpec& spec) {
  return {true,
          false,
          spec.out_features,
          spec.batch,
          spec.in_features,
          spec.in_features,
          spec.in_features,
          spec.out_features};
}

Gemm linear_data_gemm(const LinearSpec& spec) {
  return {false,
          false,
          spec.in_features,
          spec.batch,
          spec.out_features,
          spec.in_features,
          spec.out_features,
          spec.in_features};
}

Gemm linear_filter_gemm(const LinearSpec& spec) {
  return {false,
          true,
          spec.in_features,
          spec.out_features,
          spec.batch,
          spec.in_features,
          spec.out_features,
          spec.in_features};
}

std::unique_ptr<Linear> make_cuda_linear(Device&, const LinearSpec& spec) {
  return std::make_unique<CudaLinear>(spec);
}

}  // namespace tdds
