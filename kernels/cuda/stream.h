#pragma once
// The stream of a GPU: a non-blocking CUDA stream with pinned staging buffers, cuDNN and cuBLAS handles bound
// to it, and recordings as CUDA graphs. Its commands never use the legacy default stream.
//
// The branch is a second CUDA stream with a cuDNN handle of its own. A fork makes it wait for an event of the
// main stream, and a join makes the main stream wait for an event of the branch. In a capture the same calls
// bring the branch into the graph, and the end of the capture takes both streams out of it (CUDA C++
// Programming Guide, "Cross-stream Dependencies and Events").
//
// upload_ahead() transfers on a third CUDA stream, which waits only for the copy that last read the staging
// memory. The main stream waits for the transfer, and copies within the device. So a step, which is recorded
// with fixed addresses, finds its input in one place, and the transfer of the next batch begins with it. The
// copy takes microseconds; without it a step would need a recording for each of two buffers.
//
// Differences from a host stream, all within the contract of kernels/runtime/stream.h: upload() has read the
// host buffer when it returns; upload() and download() wait for the device when the staging buffer is full;
// neither may be recorded.

#include <array>
#include <memory>
#include <utility>
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
  // branches: whether a fork runs beside the main branch, or in place.
  CudaStream(CudaDevice& device, bool branches);
  ~CudaStream() override;

  // Of the branch inside a fork, else of the main branch.
  cudaStream_t get() const { return on_branch() ? branch_.get() : stream_.get(); }
  cudnnContext* cudnn() const;
  cublasContext* cublas() const;  // of the main branch only
  CudaDevice& cuda_device() const;
  bool recording() const { return recording_; }
  // Whether the next command follows a fork or a join, so that it must be launched as usual. A kernel may
  // only start early behind the one kernel in front of it.
  bool take_boundary() { return std::exchange(boundary_[on_branch() ? 1 : 0], false); }

  void upload(void* device_memory, const void* host, std::size_t bytes) override;
  Upload upload_ahead(void* device_memory, void* staging, const void* host, std::size_t bytes) override;
  void wait_for(Upload upload) override;
  void download(void* host, const void* device_memory, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void zero(void* device_memory, std::size_t bytes) override;
  std::unique_ptr<Recording> record(const std::function<void()>& body) override;
  void replay(const Recording& recording) override;
  void synchronize() override;

 protected:
  void range_begins(const char* name) override;
  void range_ends() override;
  void fork_begins(Fork) override;
  void fork_ends(Fork fork) override;
  void joins(Fork fork) override;

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
  void abandon_branch();
  bool on_branch() const { return in_fork() && branch_ != nullptr; }
  // Of the fork. A later one that has taken the event over includes it.
  cudaEvent_t done(Fork fork) const { return done_[static_cast<std::size_t>(fork) % done_.size()].get(); }

  CudaStreamHandle stream_, branch_;  // the branch is null where forks run in place
  CudaEvent forked_;
  std::array<CudaEvent, 8> done_;   // more than forks are unjoined in a step, so that joins wait for little
  std::array<bool, 2> boundary_{};  // main branch, branch
  std::array<UploadSlot, 2> uploads_;
  std::size_t next_upload_ = 0;
  CudaStreamHandle transfers_;        // of upload_ahead; null before its first call
  CudaEvent taken_;                   // the latest copy from the staging memory has completed
  std::array<CudaEvent, 2> arrived_;  // the transfers of the last two uploads
  Upload uploads_ahead_ = kNoUpload;  // the latest
  PinnedMemory download_memory_;
  std::size_t download_used_ = 0;
  std::vector<Download> downloads_;
  std::unique_ptr<CudaLibraries> libraries_;
  bool recording_ = false;
};

}  // namespace tdds
