#pragma once
// A CUDA runtime made of host memory, so that the code that drives a GPU (kernels/cuda/device.cpp,
// stream.cpp) is run where there is none. It executes as late as the documentation allows, and refuses what
// it forbids: asynchronous copies of pageable memory, calls on a stream of another device than the current
// one, and, while a stream captures, allocating or waiting.

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>
#include <vector>

namespace tdds::fake {

struct Runtime {
  // What the machine is said to have.
  cudaError_t device_count_status = cudaSuccess;
  int devices = 2;
  int driver_version = 13000;
  int sm = 90;
  std::size_t memory_bytes = std::size_t{1} << 30;
  cudaError_t launch_failure = cudaSuccess;  // what the next cudaGetLastError reports

  // What is alive, and what went wrong.
  int streams = 0, events = 0, graphs = 0, execs = 0, pinned = 0, allocations = 0;
  std::size_t allocated_bytes = 0;
  std::string misuse;               // the first call that broke a rule
  std::vector<std::string> ranges;  // profilers' ranges as they begin; "" where one ends

  int alive() const { return streams + events + graphs + execs + pinned + allocations; }
};

// Starts anew; what is returned stays valid until the next call.
Runtime& reset();
Runtime& runtime();

// Enqueues something visible, as a kernel would be.
void enqueue_increment(cudaStream_t stream, int* value);

}  // namespace tdds::fake
