#pragma once
// What a kernel launch needs from a stream. Separate from kernels/cuda/stream.h, so that kernel sources do
// not include the headers of the libraries.

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/runtime/geometry.h"

namespace tdds {

class CudaStream;
class Stream;

// The CUDA stream behind `stream`. Throws Error unless its device is of the kind `cuda`.
CudaStream& cuda_stream(Stream& stream);

// The scope of one command, a kernel launch or a library call: makes the stream's GPU current on this thread,
// and names the command in profiles and errors.
//
//   CudaCommand command(stream, "sort_by_score");
//   library_call(..., command.stream());
//   command.finish();
class CudaCommand {
 public:
  CudaCommand(Stream& stream, const char* name);
  ~CudaCommand();
  CudaCommand(const CudaCommand&) = delete;
  CudaCommand& operator=(const CudaCommand&) = delete;

  cudaStream_t stream() const;
  // Launches a kernel that begins with wait_for_previous() (kernels/gpu/gpu.h), and calls finish().
  // `arguments` has the addresses of its parameters. On GPUs that support it (sm_90 and newer), the kernel is
  // launched while the one in front of it still runs, unless the device's dependent_launches are off, or this
  // is the first command behind a fork or a join.
  void launch(const void* kernel, Dim3 grid, Dim3 block, std::size_t shared_bytes, void** arguments);
  // Throws when the launch failed. With debug_sync, except while recording, it also waits for the command and
  // throws when that failed.
  void finish();

 private:
  CudaStream& stream_;
  const char* name_;
  bool at_boundary_;
};

}  // namespace tdds
