#pragma once
// Owners of the handles of the CUDA libraries. A destructor ignores the status: it must not throw, and the
// call that first failed has already reported the error.

#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

#include "kernels/cuda/check_cuda.h"

namespace tdds {

template <auto Destroy>
struct DestroyWith {
  template <class T>
  void operator()(T* handle) const noexcept {
    static_cast<void>(Destroy(handle));
  }
};
template <class Handle, auto Destroy>
using CudaHandle = std::unique_ptr<std::remove_pointer_t<Handle>, DestroyWith<Destroy>>;

using CudaStreamHandle = CudaHandle<cudaStream_t, cudaStreamDestroy>;
using CudaEvent = CudaHandle<cudaEvent_t, cudaEventDestroy>;
using CudaGraph = CudaHandle<cudaGraph_t, cudaGraphDestroy>;
using CudaGraphExec = CudaHandle<cudaGraphExec_t, cudaGraphExecDestroy>;
using PinnedMemory = CudaHandle<void*, cudaFreeHost>;
using GpuMemory = CudaHandle<void*, cudaFree>;

// Passes an owner as the output argument of a C function: CHECK_CUDA(cudaEventCreate(out(event))).
template <class Owner>
class OutHandle {
 public:
  explicit OutHandle(Owner& owner) : owner_(owner) {}
  ~OutHandle() { owner_.reset(raw_); }
  OutHandle(const OutHandle&) = delete;
  OutHandle& operator=(const OutHandle&) = delete;
  operator typename Owner::pointer *() { return &raw_; }

 private:
  Owner& owner_;
  typename Owner::pointer raw_ = nullptr;
};
template <class Owner>
OutHandle<Owner> out(Owner& owner) {
  return OutHandle<Owner>(owner);
}

}  // namespace tdds
