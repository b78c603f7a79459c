#include "kernels/cuda/libraries.h"

#include <array>

#include "kernels/check.h"

namespace tdds {

void check_cuda_status(cudnnStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]]
    return;
  // Empty unless cuDNN has more to say about the last failure on this thread (cudnn_graph_v9.h).
  std::array<char, 512> last{};
  cudnnGetLastErrorString(last.data(), last.size());
  throw_cuda_error(
      fmt::format("{} ({}) {}", cudnnGetErrorString(status), static_cast<int>(status), last.data()),
      expression, file, line);
}

void check_cuda_status(cublasStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  throw_cuda_error(fmt::format("{} ({}): {}", cublasGetStatusName(status), static_cast<int>(status),
                               cublasGetStatusString(status)),
                   expression, file, line);
}

std::unique_ptr<CudaLibraries> make_cuda_libraries(cudaStream_t stream) {
  // The headers promise binary compatibility within a major version only, and a plan may want what this
  // build's cuDNN has.
  check(cudnnGetVersion() >= CUDNN_VERSION,
        "cuDNN {} was found at run time, older than {} of this build; update it", cudnnGetVersion(),
        CUDNN_VERSION);
  auto libraries = std::make_unique<CudaLibraries>();
  CHECK_CUDA(cudnnCreate(out(libraries->cudnn)));
  CHECK_CUDA(cudnnSetStream(libraries->cudnn.get(), stream));

  // 32 MiB is what the cuBLAS documentation advises for sm_90 (cublasSetWorkspace); without a workspace of
  // ours each capture would keep one of cuBLAS's own. cudaMalloc aligns to the 256 bytes it asks for.
  constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
  CHECK_CUDA(cudaMalloc(out(libraries->cublas_workspace), kWorkspaceBytes));
  CHECK_CUDA(cublasCreate(out(libraries->cublas)));
  // In this order: cublasSetStream resets the workspace to cuBLAS's own pool (documentation of
  // cublasSetStream).
  CHECK_CUDA(cublasSetStream(libraries->cublas.get(), stream));
  CHECK_CUDA(cublasSetWorkspace(libraries->cublas.get(), libraries->cublas_workspace.get(), kWorkspaceBytes));
  CHECK_CUDA(cublasSetPointerMode(libraries->cublas.get(), CUBLAS_POINTER_MODE_HOST));
  return libraries;
}

}  // namespace tdds
