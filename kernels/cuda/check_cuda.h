#pragma once
// Errors of the CUDA runtime and its libraries. CHECK_CUDA(call) throws Error with the library's message, the
// expression, the file and the line. It is a macro because only a macro can see the expression.

#include <cuda_runtime_api.h>

#include <string>

namespace tdds {

[[noreturn]] void throw_cuda_error(const std::string& what, const char* expression, const char* file,
                                   int line);

// "cudaErrorMemoryAllocation (2): out of memory", followed by how to fix it where that is known.
std::string cuda_error_text(cudaError_t status);

inline void check_cuda_status(cudaError_t status, const char* expression, const char* file, int line) {
  if (status != cudaSuccess) [[unlikely]]
    throw_cuda_error(cuda_error_text(status), expression, file, line);
}

// One sentence that says why no GPU can be used, for cudaErrorInsufficientDriver (35), which a machine
// without a driver reports too, and cudaErrorNoDevice (100). Empty for every other status. `driver_version`
// is that of cudaDriverGetVersion: 0 where no driver is installed.
std::string no_gpu_sentence(cudaError_t status, int driver_version, int runtime_version);

}  // namespace tdds

#define CHECK_CUDA(call) ::tdds::check_cuda_status((call), #call, __FILE__, __LINE__)
