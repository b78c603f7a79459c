#pragma once
// The cuDNN and cuBLAS handles of one stream. They are made with the stream and not at first use, since
// making one allocates memory and loads code, which a capture forbids.

#include <cublas_v2.h>
#include <cudnn.h>

#include <memory>
#include <string>

#include "kernels/cuda/handle.h"

namespace tdds {

using CudnnHandle = CudaHandle<cudnnHandle_t, cudnnDestroy>;
using CublasHandle = CudaHandle<cublasHandle_t, cublasDestroy>;

// "CUDNN_STATUS_INTERNAL_ERROR (4000) ..." with what cuDNN has to say about the last failure on this thread,
// and with a mend where there is one.
std::string cudnn_error_text(cudnnStatus_t status);

void check_cuda_status(cudnnStatus_t status, const char* expression, const char* file, int line);
void check_cuda_status(cublasStatus_t status, const char* expression, const char* file, int line);

// Throws Error where the cuDNN found at run time is older than the one of the build: the headers promise
// binary compatibility within a major version only, and a plan may want what the build's has. Versions as
// cudnnGetVersion has them: 91900 for 9.19.0.
void check_cudnn_version(std::size_t found, std::size_t built);

struct CudaLibraries {
  GpuMemory cublas_workspace;  // before the handle that uses it, so destroyed after it
  CublasHandle cublas;
  CudnnHandle cudnn;
};

std::unique_ptr<CudaLibraries> make_cuda_libraries(cudaStream_t stream);

}  // namespace tdds
