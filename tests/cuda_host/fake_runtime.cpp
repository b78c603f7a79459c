#include "tests/cuda_host/fake_runtime.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "kernels/cuda/nvtx.h"

using Work = std::function<void()>;

struct CUstream_st {
  int device;
  std::deque<Work> queue;
  bool capturing = false, invalid = false;
  std::vector<Work> captured;
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
  bool done = true;
};
struct CUgraph_st {
  std::vector<Work> nodes;
};
struct CUgraphExec_st {
  std::vector<Work> nodes;
};

namespace tdds::fake {
namespace {

Runtime state;
std::map<void*, std::size_t> pinned_memory, device_memory;
CUstream_st* capturing = nullptr;
thread_local int current_device = 0;
cudaError_t last_error = cudaSuccess;

cudaError_t fail(cudaError_t status, const std::string& misuse = "") {
  if (state.misuse.empty()) state.misuse = misuse;
  return last_error = status;
}

// A capture cannot record allocating and waiting, so they invalidate it.
cudaError_t forbid_while_capturing(const char* call) {
  if (!capturing) return cudaSuccess;
  capturing->invalid = true;
  return fail(cudaErrorStreamCaptureUnsupported, std::string(call) + " while capturing");
}

bool within(const std::map<void*, std::size_t>& memory, const void* at, std::size_t bytes) {
  auto block = memory.upper_bound(const_cast<void*>(at));
  if (block == memory.begin()) return false;
  --block;
  return static_cast<const char*>(at) + bytes <= static_cast<char*>(block->first) + block->second;
}

cudaError_t push(cudaStream_t stream, Work work) {
  if (!stream) return fail(cudaErrorStreamCaptureImplicit, "the default stream was used");
  if (stream->device != current_device)
    return fail(cudaErrorInvalidResourceHandle, "a stream of another device than the current one");
  if (stream->capturing)
    stream->captured.push_back(std::move(work));
  else
    stream->queue.push_back(std::move(work));
  return cudaSuccess;
}

void run_all(cudaStream_t stream) {
  while (!stream->queue.empty()) {
    stream->queue.front()();
    stream->queue.pop_front();
  }
}

cudaError_t allocate(std::map<void*, std::size_t>& memory, int& count, void** out, std::size_t bytes) {
  *out = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  memory[*out] = bytes;
  ++count;
  return cudaSuccess;
}

cudaError_t release(std::map<void*, std::size_t>& memory, int& count, void* at) {
  if (!at) return cudaSuccess;
  const auto block = memory.find(at);
  if (block == memory.end()) return fail(cudaErrorInvalidValue, "freed memory that was not allocated");
  memory.erase(block);
  --count;
  std::free(at);
  return cudaSuccess;
}

}  // namespace

Runtime& reset() {
  state = {};
  last_error = cudaSuccess;
  current_device = 0;
  capturing = nullptr;
  return state;
}
Runtime& runtime() {
  return state;
}
void enqueue_increment(cudaStream_t stream, int* value) {
  push(stream, [value] { ++*value; });
}

}  // namespace tdds::fake

using namespace tdds::fake;

// Replace the functions of kernels/cuda/nvtx.cpp.
void tdds::nvtx_push(const char* name) {
  state.ranges.emplace_back(name);
}
void tdds::nvtx_pop() {
  state.ranges.emplace_back();
}

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = state.device_count_status == cudaSuccess ? state.devices : 0;
  return state.device_count_status == cudaSuccess ? cudaSuccess : fail(state.device_count_status);
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = state.driver_version;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "Fake GPU");
  properties->totalGlobalMem = state.memory_bytes;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrComputeCapabilityMajor   ? state.sm / 10
           : attribute == cudaDevAttrComputeCapabilityMinor ? state.sm % 10
                                                            : 4;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int) {
  std::strncpy(id, "0000:3b:00.0", static_cast<std::size_t>(length));
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t status = state.launch_failure != cudaSuccess ? state.launch_failure : last_error;
  state.launch_failure = last_error = cudaSuccess;
  return status;
}
const char* cudaGetErrorName(cudaError_t) {
  return "cudaErrorFake";
}
const char* cudaGetErrorString(cudaError_t) {
  return "a fake error";
}

cudaError_t cudaMalloc(void** out, std::size_t bytes) {
  if (const cudaError_t status = forbid_while_capturing("cudaMalloc")) return status;
  if (state.allocated_bytes + bytes > state.memory_bytes) return fail(cudaErrorMemoryAllocation);
  ++state.mallocs;
  state.allocated_bytes += bytes;
  return allocate(device_memory, state.allocations, out, bytes);
}
cudaError_t cudaFree(void* at) {
  if (const auto block = device_memory.find(at); block != device_memory.end())
    state.allocated_bytes -= block->second;
  return release(device_memory, state.allocations, at);
}
cudaError_t cudaMallocHost(void** out, std::size_t bytes) {
  if (const cudaError_t status = forbid_while_capturing("cudaMallocHost")) return status;
  return allocate(pinned_memory, state.pinned, out, bytes);
}
cudaError_t cudaFreeHost(void* at) {
  return release(pinned_memory, state.pinned, at);
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  *total_bytes = state.memory_bytes;
  *free_bytes = state.memory_bytes - state.allocated_bytes;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool to_host = kind == cudaMemcpyDeviceToHost, from_host = kind == cudaMemcpyHostToDevice;
  if (!within(to_host ? pinned_memory : device_memory, to, bytes) ||
      !within(from_host ? pinned_memory : device_memory, from, bytes))
    return fail(cudaErrorInvalidValue, "a copy outside pinned or device memory");
  return push(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (!within(device_memory, to, bytes)) return fail(cudaErrorInvalidValue, "a fill outside device memory");
  return push(stream, [=] { std::memset(to, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  if (flags != cudaStreamNonBlocking) return fail(cudaErrorInvalidValue, "a blocking stream");
  *out = new CUstream_st{.device = current_device, .queue = {}, .captured = {}};
  ++state.streams;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  run_all(stream);
  delete stream;
  --state.streams;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t status = forbid_while_capturing("cudaStreamSynchronize")) return status;
  run_all(stream);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  *out = new CUevent_st;
  ++state.events;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* out) {
  return cudaEventCreateWithFlags(out, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  --state.events;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  event->done = false;
  return push(stream, [event] { event->done = true; });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const cudaError_t status = forbid_while_capturing("cudaEventSynchronize")) return status;
  while (!event->done) {
    event->stream->queue.front()();
    event->stream->queue.pop_front();
  }
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  attributes->ptxVersion = state.ptx_version;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void*, void**) {
  ++state.launches;
  for (unsigned i = 0; i < config->numAttrs; ++i)
    state.dependent_launches += config->attrs[i].id == cudaLaunchAttributeProgrammaticStreamSerialization &&
                                config->attrs[i].val.programmaticStreamSerializationAllowed != 0;
  if (config->dynamicSmemBytes > 48 << 10) return fail(cudaErrorInvalidValue);
  return push(config->stream, [] {});
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (mode != cudaStreamCaptureModeThreadLocal) return fail(cudaErrorInvalidValue, "another capture mode");
  stream->capturing = true;
  stream->captured.clear();
  capturing = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* out) {
  const bool invalid = stream->invalid;
  stream->capturing = stream->invalid = false;
  capturing = nullptr;
  *out = nullptr;
  if (invalid) return fail(cudaErrorStreamCaptureInvalidated);
  *out = new CUgraph_st{std::move(stream->captured)};
  ++state.graphs;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  --state.graphs;
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, std::size_t* count) {
  *count = graph->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
  *out = new CUgraphExec_st{graph->nodes};
  ++state.execs;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  --state.execs;
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return push(stream, [exec] {
    for (const Work& work : exec->nodes) work();
  });
}

}  // extern "C"
