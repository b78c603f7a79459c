#pragma once
// What a test asks of the stand-in for NCCL (fake_nccl.cpp), whose functions are found by name.

#include <cuda_runtime_api.h>

namespace tdds::fake {

// Runs run(data) when the commands of `stream` are executed.
using EnqueueOn = void (*)(cudaStream_t stream, void (*run)(void* data), void* data);

// extern "C" functions of the library:
using SetNccl = void (*)(EnqueueOn enqueue, const char* failing);  // failing: the call that fails, or ""
using NcclCalls = const char* (*)();  // one call a line, in the order of their execution

}  // namespace tdds::fake
