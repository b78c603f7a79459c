#pragma once
// Errors of the CUDA runtime and its libraries. CHECK_CUDA(call) throws Error with the library's words, the
// expression, the file and the line; it is the only macro here, since only a macro can see the expression.

#include <cuda_runtime_api.h>

#include <string>

namespace tdds {

[[noreturn]] void throw_cuda_error(const std::string& what, const char* expression, const char* file,
                                   int line);

// "cudaErrorMemoryAllocation (2): out of memory", with a mend where there is one.
std::string cuda_error_text(cudaError_t status);

inline void check_cuda_status(cudaError_t status, const char* expression, const char* file, int line) {
  if (status != cudaSuccess) [[unlikely]]
    throw_cuda_error(cuda_error_text(status), expression, file, line);
}

// One sentence that says why no GPU can be used, for cudaErrorInsufficientDriver (35), which a machine
// without any driver reports too, and cudaErrorNoDevice (100). Null for every other status. `driver_version`
// is cudaDriverGetVersion's: 0 where no driver is installed.
std::string no_gpu_sentence(cudaError_t status, int driver_version, int runtime_version);

}  // namespace tdds

#define CHECK_CUDA(call) ::tdds::check_cuda_status((call), #call, __FILE__, __LINE__)
