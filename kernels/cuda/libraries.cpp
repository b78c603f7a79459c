#include "kernels/cuda/libraries.h"

namespace tdds {
namespace {

CudnnHandle make_cudnn(cudaStream_t stream) {
  CudnnHandle handle;
  CHECK_CUDA(cudnnCreate(out(handle)));
  CHECK_CUDA(cudnnSetStream(handle.get(), stream));
  return handle;
}

}  // namespace

std::unique_ptr<CudaLibraries> make_cuda_libraries(cudaStream_t stream, cudaStream_t branch) {
  check_cudnn_version(cudnnGetVersion(), CUDNN_VERSION);
  auto libraries = std::make_unique<CudaLibraries>();
  libraries->cudnn = make_cudnn(stream);
  if (branch) libraries->branch_cudnn = make_cudnn(branch);

  // The cuBLAS documentation recommends 32 MiB for sm_90 (cublasSetWorkspace). Without this workspace each
  // capture would keep one of cuBLAS's own. cudaMalloc provides the required alignment of 256 bytes.
  constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
  CHECK_CUDA(cudaMalloc(out(libraries->cublas_workspace), kWorkspaceBytes));
  CHECK_CUDA(cublasCreate(out(libraries->cublas)));
  // The order matters: cublasSetStream resets the workspace to cuBLAS's own pool (documentation of
  // cublasSetStream).
  CHECK_CUDA(cublasSetStream(libraries->cublas.get(), stream));
  CHECK_CUDA(cublasSetWorkspace(libraries->cublas.get(), libraries->cublas_workspace.get(), kWorkspaceBytes));
  CHECK_CUDA(cublasSetPointerMode(libraries->cublas.get(), CUBLAS_POINTER_MODE_HOST));
  return libraries;
}

}  // namespace tdds
