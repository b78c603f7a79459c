// Replaces the functions of cuDNN and of kernels/cuda/libraries.cpp that need a GPU: the queues of the fake
// runtime cannot run cuDNN's plans. Plans are still made by the real cuDNN.

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <map>

#include "kernels/cuda/libraries.h"
#include "tests/cuda_host/cuda_host_fixture.h"

struct cudnnContext {
  cudaStream_t stream;
};

namespace tdds {
namespace {

fake::Cudnn state;
// x, w and y of a pack. cuDNN does not give them back.
std::map<cudnnBackendDescriptor_t, std::array<void*, 3>> tensors_of;

CudnnHandle make_handle(cudaStream_t stream) {
  ++state.handles;
  return CudnnHandle(new cudnnContext{stream});
}

}  // namespace

fake::Cudnn& fake::cudnn() {
  return state;
}

std::unique_ptr<CudaLibraries> make_cuda_libraries(cudaStream_t stream, cudaStream_t branch) {
  auto libraries = std::make_unique<CudaLibraries>();
  libraries->cudnn = make_handle(stream);
  if (branch) libraries->branch_cudnn = make_handle(branch);
  return libraries;
}

}  // namespace tdds

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  --tdds::state.handles;
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  static const auto real =
      reinterpret_cast<decltype(&cudnnBackendSetAttribute)>(dlsym(RTLD_NEXT, "cudnnBackendSetAttribute"));
  if (name == CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS && count == 3)
    std::copy_n(static_cast<void* const*>(values), 3, tdds::tensors_of[descriptor].begin());
  return real(descriptor, name, type, count, values);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t,
                                  cudnnBackendDescriptor_t pack) {
  ++tdds::state.executions;
  tdds::state.stream = handle->stream;
  if (tdds::state.compute)
    tdds::fake::enqueue(handle->stream,
                        [tensors = tdds::tensors_of[pack]] { tdds::state.compute(tensors.data()); });
  return tdds::state.status;
}
