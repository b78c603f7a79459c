#pragma once
// What a kernel launch needs of a stream: kept apart from kernels/cuda/stream.h, so that the kernels' sources
// do not read the libraries' headers.

#include <cuda_runtime_api.h>

namespace tdds {

class CudaStream;
class Stream;

// The stream, which must belong to a device of the kind `cuda`; else Error.
CudaStream& cuda_stream(Stream& stream);

// Brackets one command, a kernel launch or a library call: makes the stream's GPU current on this thread,
// names the command in profiles, and reports its failure by its name.
//
//   CudaCommand command(stream, "softmax_kl");
//   kernel<<<grid, block, bytes, command.stream()>>>(...);
//   command.finish();
class CudaCommand {
 public:
  CudaCommand(Stream& stream, const char* name);
  ~CudaCommand();
  CudaCommand(const CudaCommand&) = delete;
  CudaCommand& operator=(const CudaCommand&) = delete;

  cudaStream_t stream() const;
  // Throws when the launch failed; with --debug_sync, and not while recording, waits and throws when the
  // command itself did.
  void finish();

 private:
  CudaStream& stream_;
  const char* name_;
};

}  // namespace tdds
