#pragma once
// A fake CUDA runtime in host memory, so that the code that drives a GPU (kernels/cuda/device.cpp,
// stream.cpp) can run without one. It executes as late as the documentation allows, and fails on what the
// documentation forbids: asynchronous copies of pageable memory, calls on a stream of a device that is not
// current, allocating or waiting while a stream captures, and captures with a branch that is not joined.

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tdds::fake {

struct Runtime {
  // The simulated machine.
  cudaError_t device_count_status = cudaSuccess;
  int devices = 2;
  int driver_version = 13000;
  int sm = 90;
  int ptx_version = 90;                 // what the kernels are compiled for
  int shared_per_block = 227 << 10;     // with opt-in, and what
  std::size_t shared_of_kernel = 1024;  // a kernel has besides what its launches ask for
  std::size_t memory_bytes = std::size_t{1} << 30;
  std::size_t pinnable_bytes = std::size_t{1} << 30;  // the most of one call of cudaMallocHost
  cudaError_t launch_failure = cudaSuccess;           // reported by the next cudaGetLastError
  bool latest_node_first = false;                     // of the nodes of a graph that may run

  // Live objects, and errors.
  int streams = 0, events = 0, graphs = 0, execs = 0, pinned = 0, allocations = 0;
  int mallocs = 0;                                          // calls of cudaMalloc so far
  int made_streams = 0, made_events = 0, timed_events = 0;  // so far; they are numbered from 1
  std::size_t allocated_bytes = 0;
  std::string misuse;                        // the first call that broke a rule
  int launches = 0, dependent_launches = 0;  // of kernels, which do nothing
  std::map<const void*, int> shared_limits;  // of kernels, set by cudaFuncSetAttribute
  std::vector<std::string> event_calls;      // "event 3 records stream 2", "stream 1 waits for event 3"
  std::vector<std::string> ranges;           // the names of profiler ranges as they begin; "" where one ends

  int alive() const { return streams + events + graphs + execs + pinned + allocations; }
};

// Resets the runtime. The reference stays valid.
Runtime& reset();
Runtime& runtime();

using Work = std::function<void()>;

// Enqueues a command with a visible effect, in place of a kernel.
void enqueue(cudaStream_t stream, Work work);

}  // namespace tdds::fake
