#include "kernels/cuda/stream.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "kernels/cuda/device.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/nvtx.h"
#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::size_t kUploadBytes = std::size_t{4} << 20;  // of each of the two slots
constexpr std::size_t kDownloadBytes = std::size_t{16} << 20;

PinnedMemory pin(std::size_t bytes) {
  PinnedMemory memory;
  CHECK_CUDA(cudaMallocHost(out(memory), bytes));
  return memory;
}

class CudaRecording final : public Recording {
 public:
  CudaRecording(CudaGraphExec exec, std::size_t nodes) : exec_(std::move(exec)), nodes_(nodes) {}
  std::size_t commands() const override { return nodes_; }
  cudaGraphExec_t get() const { return exec_.get(); }

 private:
  CudaGraphExec exec_;
  std::size_t nodes_;
};

}  // namespace

CudaStream::CudaStream(CudaDevice& device, bool branches) : Stream(device) {
  device.make_current();
  // Non-blocking: not ordered with the legacy default stream, which must not be used during a capture
  // (cuda_runtime_api.h, cudaStreamCreateWithFlags, cudaErrorStreamCaptureImplicit).
  CHECK_CUDA(cudaStreamCreateWithFlags(out(stream_), cudaStreamNonBlocking));
  if (branches) {
    CHECK_CUDA(cudaStreamCreateWithFlags(out(branch_), cudaStreamNonBlocking));
    CHECK_CUDA(cudaEventCreateWithFlags(out(forked_), cudaEventDisableTiming));
    for (CudaEvent& event : done_) CHECK_CUDA(cudaEventCreateWithFlags(out(event), cudaEventDisableTiming));
  }
  for (UploadSlot& slot : uploads_) {
    slot.memory = pin(kUploadBytes);
    CHECK_CUDA(cudaEventCreateWithFlags(out(slot.done), cudaEventDisableTiming));
  }
  download_memory_ = pin(kDownloadBytes);
  libraries_ = make_cuda_libraries(stream_.get(), branch_.get());
}

CudaStream::~CudaStream() {
  // The staging buffers must outlive the copies that read and write them.
  static_cast<void>(cudaStreamSynchronize(stream_.get()));
  if (branch_) static_cast<void>(cudaStreamSynchronize(branch_.get()));
}

CudaDevice& CudaStream::cuda_device() const {
  return static_cast<CudaDevice&>(device());
}
cudnnContext* CudaStream::cudnn() const {
  return (on_branch() ? libraries_->branch_cudnn : libraries_->cudnn).get();
}
cublasContext* CudaStream::cublas() const {
  check(!on_branch(), "cuBLAS has no handle for a branch; call it outside of the fork");
  return libraries_->cublas.get();
}

void CudaStream::upload(void* device_memory, const void* host, std::size_t bytes) {
  check_outside_fork("Stream::upload");
  check(!recording_, "Stream::upload: a copy from the host cannot be recorded; upload before the step");
  CudaCommand command(*this, "upload");
  for (std::size_t at = 0; at < bytes;) {
    UploadSlot& slot = uploads_[next_upload_++ % uploads_.size()];
    const std::size_t part = std::min(kUploadBytes, bytes - at);
    // An event that was never recorded counts as complete (cuda_runtime_api.h, cudaEventSynchronize).
    CHECK_CUDA(cudaEventSynchronize(slot.done.get()));
    std::memcpy(slot.memory.get(), static_cast<const std::byte*>(host) + at, part);
    CHECK_CUDA(cudaMemcpyAsync(static_cast<std::byte*>(device_memory) + at, slot.memory.get(), part,
                               cudaMemcpyHostToDevice, get()));
    CHECK_CUDA(cudaEventRecord(slot.done.get(), get()));
    at += part;
  }
  command.finish();
}

Stream::Upload CudaStream::upload_ahead(void* device_memory, void* staging, const void* host,
                                        std::size_t bytes) {
  if (!cuda_device().is_pinned(host)) {  // a copy of pageable memory would wait for the stream
    upload(device_memory, host, bytes);
    return kNoUpload;  // the host buffer has been read
  }
  check_outside_fork("Stream::upload_ahead");
  check(!recording_, "Stream::upload_ahead: a copy from the host cannot be recorded; upload before the step");
  CudaCommand command(*this, "upload ahead");
  if (!transfers_) {
    CHECK_CUDA(cudaEventCreateWithFlags(out(taken_), cudaEventDisableTiming));
    // A host thread that waits for a transfer sleeps, and leaves its core to those that read images.
    for (CudaEvent& event : arrived_)
      CHECK_CUDA(cudaEventCreateWithFlags(out(event), cudaEventDisableTiming | cudaEventBlockingSync));
    CHECK_CUDA(cudaStreamCreateWithFlags(out(transfers_), cudaStreamNonBlocking));
  }
  const cudaEvent_t arrived = arrived_[static_cast<std::size_t>(++uploads_ahead_) % arrived_.size()].get();
  // The first transfer waits for nothing: before its first record, an event stands for no work
  // (cuda_runtime_api.h, cudaEventRecord).
  CHECK_CUDA(cudaStreamWaitEvent(transfers_.get(), taken_.get(), cudaEventWaitDefault));
  CHECK_CUDA(cudaMemcpyAsync(staging, host, bytes, cudaMemcpyHostToDevice, transfers_.get()));
  CHECK_CUDA(cudaEventRecord(arrived, transfers_.get()));
  CHECK_CUDA(cudaStreamWaitEvent(get(), arrived, cudaEventWaitDefault));
  CHECK_CUDA(cudaMemcpyAsync(device_memory, staging, bytes, cudaMemcpyDeviceToDevice, get()));
  CHECK_CUDA(cudaEventRecord(taken_.get(), get()));
  command.finish();
  return uploads_ahead_;
}

void CudaStream::wait_for(Upload upload) {
  if (upload == kNoUpload) return;
  check(!recording_, "Stream::wait_for: not allowed while recording");
  cuda_device().make_current();
  // A later upload that has taken the event over was transferred after this one.
  CHECK_CUDA(cudaEventSynchronize(arrived_[static_cast<std::size_t>(upload) % arrived_.size()].get()));
}

void CudaStream::download(void* host, const void* device_memory, std::size_t bytes) {
  check_outside_fork("Stream::download");
  check(!recording_, "Stream::download: a copy to the host cannot be recorded; download after the step");
  CudaCommand command(*this, "download");
  constexpr std::size_t kAlignment = 256;
  for (std::size_t at = 0; at < bytes;) {
    if (download_used_ >= kDownloadBytes) flush_downloads();
    const std::size_t part = std::min(kDownloadBytes - download_used_, bytes - at);
    std::byte* staged = static_cast<std::byte*>(download_memory_.get()) + download_used_;
    CHECK_CUDA(cudaMemcpyAsync(staged, static_cast<const std::byte*>(device_memory) + at, part,
                               cudaMemcpyDeviceToHost, get()));
    downloads_.push_back({static_cast<std::byte*>(host) + at, download_used_, part});
    download_used_ += round_up(part, kAlignment);
    at += part;
  }
  command.finish();
}

void CudaStream::flush_downloads() {
  const std::vector<Download> waiting = std::move(downloads_);
  downloads_.clear();
  download_used_ = 0;
  CHECK_CUDA(cudaStreamSynchronize(get()));
  for (const Download& download : waiting)
    std::memcpy(download.host, static_cast<const std::byte*>(download_memory_.get()) + download.offset,
                download.bytes);
}

void CudaStream::copy(void* to, const void* from, std::size_t bytes) {
  CudaCommand command(*this, "copy");
  CHECK_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, get()));
  command.finish();
}

void CudaStream::zero(void* device_memory, std::size_t bytes) {
  CudaCommand command(*this, "zero");
  CHECK_CUDA(cudaMemsetAsync(device_memory, 0, bytes, get()));
  command.finish();
}

void CudaStream::fork_begins(Fork) {
  if (!branch_) return;
  cuda_device().make_current();
  // A wait is for what the event stood for when it was called, so one event serves all forks
  // (cuda_runtime_api.h, cudaEventRecord).
  CHECK_CUDA(cudaEventRecord(forked_.get(), stream_.get()));
  CHECK_CUDA(cudaStreamWaitEvent(branch_.get(), forked_.get(), cudaEventWaitDefault));
  boundary_ = {true, true};
}

void CudaStream::fork_ends(Fork fork) {
  if (!branch_) return;
  cuda_device().make_current();
  CHECK_CUDA(cudaEventRecord(done(fork), branch_.get()));
}

void CudaStream::joins(Fork fork) {
  if (!branch_) return;
  cuda_device().make_current();
  CHECK_CUDA(cudaStreamWaitEvent(stream_.get(), done(fork), cudaEventWaitDefault));
  boundary_[0] = true;
}

// Joins what a failed capture has forked: a capture ends with all its branches joined
// (cudaErrorStreamCaptureUnjoined). Its errors are of no interest.
void CudaStream::abandon_branch() {
  if (branch_ && !joined()) {
    static_cast<void>(cudaEventRecord(done(kNoFork), branch_.get()));
    static_cast<void>(cudaStreamWaitEvent(stream_.get(), done(kNoFork), cudaEventWaitDefault));
  }
  forget_forks();
}

std::unique_ptr<Recording> CudaStream::record(const std::function<void()>& body) {
  check(!recording_, "Stream::record: this stream is already recording");
  check_joined("Stream::record");  // a graph cannot depend on work outside (cudaErrorStreamCaptureIsolation)
  cuda_device().make_current();
  // ThreadLocal: calls that allocate or synchronise fail on this thread only. Not Relaxed, so the capture
  // must end on this thread (cuda_runtime_api.h, cudaStreamBeginCapture).
  CHECK_CUDA(cudaStreamBeginCapture(get(), cudaStreamCaptureModeThreadLocal));
  recording_ = true;
  std::exception_ptr failure;
  try {
    body();
    check_joined("Stream::record");
  } catch (...) {
    failure = std::current_exception();
    abandon_branch();
  }
  recording_ = false;
  CudaGraph graph;
  // Called even after a failure, because it ends the capture.
  const cudaError_t ended = cudaStreamEndCapture(get(), out(graph));
  if (failure) {
    static_cast<void>(cudaGetLastError());
    std::rethrow_exception(failure);
  }
  check_cuda_status(ended, "cudaStreamEndCapture(stream, &graph)", __FILE__, __LINE__);

  std::size_t nodes = 0;
  CHECK_CUDA(cudaGraphGetNodes(graph.get(), nullptr, &nodes));
  CudaGraphExec exec;
  CHECK_CUDA(cudaGraphInstantiate(out(exec), graph.get(), 0));
  CHECK_CUDA(cudaGraphUpload(exec.get(), get()));  // otherwise the first launch uploads the graph
  return std::make_unique<CudaRecording>(std::move(exec), nodes);
}

void CudaStream::replay(const Recording& recording) {
  check(!recording_, "Stream::replay: not allowed while recording");
  check_joined("Stream::replay");
  CudaCommand command(*this, "replay");
  CHECK_CUDA(cudaGraphLaunch(static_cast<const CudaRecording&>(recording).get(), get()));
  command.finish();
}

void CudaStream::synchronize() {
  check(!recording_, "Stream::synchronize: not allowed while recording");
  cuda_device().make_current();
  join();
  flush_downloads();
}

void CudaStream::range_begins(const char* name) {
  nvtx_push(name);
}
void CudaStream::range_ends() {
  nvtx_pop();
}

CudaStream& cuda_stream(Stream& stream) {
  check(stream.device().kind() == DeviceKind::kCuda, "a CUDA op was given a stream of another device");
  return static_cast<CudaStream&>(stream);
}

CudaCommand::CudaCommand(Stream& stream, const char* name)
    : stream_(cuda_stream(stream)), name_(name), at_boundary_(stream_.take_boundary()) {
  stream_.cuda_device().make_current();
  nvtx_push(name);
}

CudaCommand::~CudaCommand() {
  nvtx_pop();
}

cudaStream_t CudaCommand::stream() const {
  return stream_.get();
}

void CudaCommand::launch(const void* kernel, Dim3 grid, Dim3 block, std::size_t shared_bytes,
                         void** arguments) {
  cudaLaunchAttribute dependent{};
  dependent.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  dependent.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = {grid.x, grid.y, grid.z};
  config.blockDim = {block.x, block.y, block.z};
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream();
  config.attrs = &dependent;
  config.numAttrs = !at_boundary_ && stream_.cuda_device().may_overlap(kernel) ? 1 : 0;
  static_cast<void>(cudaLaunchKernelExC(&config, kernel, arguments));  // finish() reports its error
  finish();
}

void CudaCommand::finish() {
  cudaError_t status = cudaGetLastError();  // the only report of a launch's invalid geometry or missing code
  if (status == cudaSuccess && stream_.cuda_device().options().debug_sync && !stream_.recording())
    status = cudaStreamSynchronize(stream());
  check(status == cudaSuccess, "the GPU command '{}'{} failed: {}", name_, stream_.of_range(),
        cuda_error_text(status));
}

}  // namespace tdds
