#pragma once
// The stream of a GPU: a non-blocking CUDA stream with pinned staging buffers, cuDNN and cuBLAS handles bound
// to it, and recordings as CUDA graphs. Its commands never use the legacy default stream.
//
// Differences from a host stream, all within the contract of kernels/runtime/stream.h: upload() has read the
// host buffer when it returns; upload() and download() wait for the device when the staging buffer is full;
// neither may be recorded.

#include <array>
#include <memory>
#include <vector>

#include "kernels/cuda/command.h"
#include "kernels/cuda/handle.h"
#include "kernels/runtime/stream.h"

struct cudnnContext;
struct cublasContext;

namespace tdds {

class CudaDevice;
struct CudaLibraries;

class CudaStream final : public Stream {
 public:
  explicit CudaStream(CudaDevice& device);
  ~CudaStream() override;

  cudaStream_t get() const { return stream_.get(); }
  cudnnContext* cudnn() const;
  cublasContext* cublas() const;
  CudaDevice& cuda_device() const;
  bool recording() const { return recording_; }

  void upload(void* device_memory, const void* host, std::size_t bytes) override;
  void download(void* host, const void* device_memory, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void zero(void* device_memory, std::size_t bytes) override;
  std::unique_ptr<Recording> record(const std::function<void()>& body) override;
  void replay(const Recording& recording) override;
  void synchronize() override;

 protected:
  void range_begins(const char* name) override;
  void range_ends() override;

 private:
  struct UploadSlot {
    PinnedMemory memory;
    CudaEvent done;  // the copy from `memory` has completed
  };
  struct Download {  // bytes that wait in download_memory_ for the next synchronize()
    void* host;
    std::size_t offset, bytes;
  };
  void flush_downloads();

  CudaStreamHandle stream_;
  std::array<UploadSlot, 2> uploads_;
  std::size_t next_upload_ = 0;
  PinnedMemory download_memory_;
  std::size_t download_used_ = 0;
  std::vector<Download> downloads_;
  std::unique_ptr<CudaLibraries> libraries_;
  bool recording_ = false;
};

}  // namespace tdds
