#include "kernels/cuda/check_cuda.h"

#include <array>

#include "kernels/cuda/libraries.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

// How to fix it, for the errors that a user can cause.
const char* remedy(cudaError_t status) {
  switch (status) {
    case cudaErrorNoKernelImageForDevice:
      return "; this build has no machine code for this GPU: configure with "
             "-DCMAKE_CUDA_ARCHITECTURES=native";
    case cudaErrorUnsupportedPtxVersion:
      return "; the driver is older than the toolkit of this build: configure with "
             "-DCMAKE_CUDA_ARCHITECTURES=native, or update the driver";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
      return "; a kernel failed: run with `debug_sync` to see which one";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
      return "; a call that cannot be recorded was made while a step was recorded";
    case cudaErrorDevicesUnavailable:
      return "; another process has exclusive use of the GPU";
    default:
      return "";
  }
}

const char* remedy(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED:
      return "; a part of cuDNN could not be loaded: set LD_LIBRARY_PATH to the folder of all its parts; "
             "without an NVIDIA driver (libcuda.so.1) use cuDNN 9.19 or older, which does not need it to "
             "plan";
    case CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH:
      return "; parts of several versions of cuDNN were found: set LD_LIBRARY_PATH to one folder only";
    default:
      return "";
  }
}

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace

std::string cuda_error_text(cudaError_t status) {
  return fmt::format("{} ({}): {}{}", cudaGetErrorName(status), static_cast<int>(status),
                     cudaGetErrorString(status), remedy(status));
}

void throw_cuda_error(const std::string& what, const char* expression, const char* file, int line) {
  throw Error(fmt::format("{} failed at {}:{}: {}", expression, file, line, what));
}

std::string cudnn_error_text(cudnnStatus_t status) {
  // Empty unless cuDNN knows more about the last failure on this thread (cudnn_graph_v9.h).
  std::array<char, 512> last{};
  cudnnGetLastErrorString(last.data(), last.size());
  return fmt::format("{} ({}) {}{}", cudnnGetErrorString(status), static_cast<int>(status), last.data(),
                     remedy(status));
}

void check_cuda_status(cudnnStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]]
    return;
  throw_cuda_error(cudnn_error_text(status), expression, file, line);
}

void check_cuda_status(cublasStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  throw_cuda_error(fmt::format("{} ({}): {}", cublasGetStatusName(status), static_cast<int>(status),
                               cublasGetStatusString(status)),
                   expression, file, line);
}

void check_cudnn_version(std::size_t found, std::size_t built) {
  const auto text = [](std::size_t version) {
    return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  };
  check(
      found >= built,
      "cuDNN {} was found at run time, older than {} of this build: update it, or set LD_LIBRARY_PATH to the "
      "folder of the newer one",
      text(found), text(built));
}

std::string no_gpu_sentence(cudaError_t status, int driver_version, int runtime_version) {
  if (status == cudaErrorNoDevice)
    return "no GPU here: the NVIDIA driver sees no device (is CUDA_VISIBLE_DEVICES empty?); use `device` cpu";
  if (status != cudaErrorInsufficientDriver) return {};
  if (driver_version == 0) return "no GPU here: no NVIDIA driver is installed; use `device` cpu";
  return fmt::format(
      "no GPU here: the NVIDIA driver supports CUDA {} and this build needs {}; update the driver or use "
      "`device` cpu",
      version_text(driver_version), version_text(runtime_version));
}

}  // namespace tdds
