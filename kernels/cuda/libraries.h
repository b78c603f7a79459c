#pragma once
// The cuDNN and cuBLAS handles of one stream and its branch. They are created with the stream and not at
// first use, because creating one allocates memory and loads code, which is forbidden during a capture.

#include <cublas_v2.h>
#include <cudnn.h>

#include <memory>
#include <string>

#include "kernels/cuda/handle.h"

namespace tdds {

using CudnnHandle = CudaHandle<cudnnHandle_t, cudnnDestroy>;
using CublasHandle = CudaHandle<cublasHandle_t, cublasDestroy>;

// "CUDNN_STATUS_INTERNAL_ERROR (4000) ..." with cuDNN's message about the last failure on this thread,
// followed by how to fix it where that is known.
std::string cudnn_error_text(cudnnStatus_t status);

void check_cuda_status(cudnnStatus_t status, const char* expression, const char* file, int line);
void check_cuda_status(cublasStatus_t status, const char* expression, const char* file, int line);

// Throws Error where the cuDNN found at run time is older than that of the build: the headers promise binary
// compatibility only within a major version, and a plan may need a feature of the build's version. Versions
// are those of cudnnGetVersion: 91900 for 9.19.0.
void check_cudnn_version(std::size_t found, std::size_t built);

struct CudaLibraries {
  GpuMemory cublas_workspace;  // declared before the handle that uses it, so destroyed after it
  CublasHandle cublas;
  CudnnHandle cudnn, branch_cudnn;
};

// branch: null where the stream has none.
std::unique_ptr<CudaLibraries> make_cuda_libraries(cudaStream_t stream, cudaStream_t branch);

}  // namespace tdds
