#include "tests/cuda_host/fake_runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/nvtx.h"

using tdds::fake::Work;

namespace {

struct Node {
  Work work;
  std::vector<std::size_t> behind;  // the nodes that it depends on
};

}  // namespace

struct CUgraph_st {
  std::vector<Node> nodes;
};
struct CUgraphExec_st {
  std::vector<Node> nodes;
};
struct CUstream_st {
  int number, device;
  std::deque<Work> queue;
  CUgraph_st* graph = nullptr;    // into which it is captured
  std::vector<std::size_t> last;  // the nodes that the next one depends on
};
struct CUevent_st {
  int number;
  CUstream_st* stream = nullptr;
  std::shared_ptr<bool> done = std::make_shared<bool>(true);  // the latest record
  CUgraph_st* graph = nullptr;                                // in which it was recorded
  std::vector<std::size_t> nodes;
};

namespace tdds::fake {
namespace {

Runtime state;
std::map<void*, std::size_t> pinned_memory, device_memory;
std::set<cudaStream_t> live_streams;
// The capture in progress: its graph, which is null where there is none, and its streams, the origin first.
std::unique_ptr<CUgraph_st> capturing;
std::vector<CUstream_st*> captured_streams;
bool invalid = false;
thread_local int current_device = 0;
cudaError_t last_error = cudaSuccess;

cudaError_t fail(cudaError_t status, const std::string& misuse = "") {
  if (state.misuse.empty()) state.misuse = misuse;
  return last_error = status;
}

// A capture cannot record allocating and waiting, so they invalidate it.
cudaError_t forbid_while_capturing(const char* call) {
  if (!capturing) return cudaSuccess;
  invalid = true;
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
  if (!stream->graph) {
    stream->queue.push_back(std::move(work));
    return cudaSuccess;
  }
  stream->graph->nodes.push_back({std::move(work), stream->last});
  stream->last = {stream->graph->nodes.size() - 1};
  return cudaSuccess;
}

void run_next(cudaStream_t stream) {
  const Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  work();
}

void run_all(cudaStream_t stream) {
  while (!stream->queue.empty()) run_next(stream);
}

// A stream's work does not begin before it is waited for.
void wait_for(cudaStream_t stream, const std::shared_ptr<bool>& done) {
  while (!*done) run_next(stream);
}

// Runs a graph: of the nodes whose dependencies have run, the one captured first or last.
void run_nodes(const std::vector<Node>& nodes) {
  std::vector<bool> ran(nodes.size(), false);
  const auto is_ready = [&](std::size_t i) {
    return !ran[i] &&
           std::all_of(nodes[i].behind.begin(), nodes[i].behind.end(), [&](std::size_t j) { return ran[j]; });
  };
  for (std::size_t runs = 0; runs < nodes.size(); ++runs) {
    std::size_t next = nodes.size();
    for (std::size_t i = 0; i < nodes.size() && (next == nodes.size() || state.latest_node_first); ++i)
      if (is_ready(i)) next = i;
    ran[next] = true;
    nodes[next].work();
  }
}

// Whether all work of the captured streams precedes the end of the origin.
bool all_joined(const CUgraph_st& graph) {
  std::vector<bool> reached(graph.nodes.size(), false);
  std::vector<std::size_t> open = captured_streams.front()->last;
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    if (reached[node]) continue;
    reached[node] = true;
    open.insert(open.end(), graph.nodes[node].behind.begin(), graph.nodes[node].behind.end());
  }
  return std::all_of(reached.begin(), reached.end(), [](bool one) { return one; });
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
  capturing.reset();
  captured_streams.clear();
  invalid = false;
  return state;
}
Runtime& runtime() {
  return state;
}
void enqueue(cudaStream_t stream, Work work) {
  push(stream, std::move(work));
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
  *value = attribute == cudaDevAttrComputeCapabilityMajor         ? state.sm / 10
           : attribute == cudaDevAttrComputeCapabilityMinor       ? state.sm % 10
           : attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin ? state.shared_per_block
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
  if (bytes > state.pinnable_bytes) return fail(cudaErrorMemoryAllocation);
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
  *out = new CUstream_st{.number = ++state.made_streams, .device = current_device, .queue = {}, .last = {}};
  ++state.streams;
  live_streams.insert(*out);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  run_all(stream);
  live_streams.erase(stream);
  delete stream;
  --state.streams;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t status = forbid_while_capturing("cudaStreamSynchronize")) return status;
  run_all(stream);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t status = forbid_while_capturing("cudaDeviceSynchronize")) return status;
  for (const cudaStream_t stream : live_streams)
    if (stream->device == current_device) run_all(stream);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
  *out = new CUevent_st{.number = ++state.made_events, .nodes = {}};
  ++state.events;
  state.timed_events += (flags & cudaEventDisableTiming) == 0 ? 1 : 0;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* out) {
  return cudaEventCreateWithFlags(out, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  --state.events;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  state.event_calls.push_back("event " + std::to_string(event->number) + " records stream " +
                              std::to_string(stream->number));
  event->stream = stream;
  event->graph = stream->graph;
  event->nodes = stream->last;
  if (stream->graph) return cudaSuccess;  // it is no node
  event->done = std::make_shared<bool>(false);
  return push(stream, [done = event->done] { *done = true; });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  state.event_calls.push_back("stream " + std::to_string(stream->number) + " waits for event " +
                              std::to_string(event->number));
  if (flags != cudaEventWaitDefault) return fail(cudaErrorInvalidValue, "an external event");
  if (event->graph) {
    if (event->graph != capturing.get() || (stream->graph && stream->graph != event->graph))
      return fail(cudaErrorStreamCaptureIsolation, "waited for an event of another capture");
    if (!stream->graph) captured_streams.push_back(stream);
    stream->graph = event->graph;
    stream->last.insert(stream->last.end(), event->nodes.begin(), event->nodes.end());
    return cudaSuccess;
  }
  if (stream->graph) return fail(cudaErrorStreamCaptureIsolation, "a capture waited for an event outside");
  return push(stream, [from = event->stream, done = event->done] { wait_for(from, done); });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const cudaError_t status = forbid_while_capturing("cudaEventSynchronize")) return status;
  if (event->graph) return fail(cudaErrorCapturedEvent, "waited for an event of a capture");
  wait_for(event->stream, event->done);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  attributes->ptxVersion = state.ptx_version;
  attributes->sharedSizeBytes = state.shared_of_kernel;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize ||
      value + static_cast<int>(state.shared_of_kernel) > state.shared_per_block)
    return fail(cudaErrorInvalidValue, "an attribute that a kernel cannot have");
  state.shared_limits[kernel] = value;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel, void**) {
  ++state.launches;
  for (unsigned i = 0; i < config->numAttrs; ++i)
    state.dependent_launches += config->attrs[i].id == cudaLaunchAttributeProgrammaticStreamSerialization &&
                                config->attrs[i].val.programmaticStreamSerializationAllowed != 0;
  const auto limit = state.shared_limits.find(kernel);
  if (static_cast<int>(config->dynamicSmemBytes) >
      (limit == state.shared_limits.end() ? 48 << 10 : limit->second))
    return fail(cudaErrorInvalidValue);
  return push(config->stream, [] {});
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (mode != cudaStreamCaptureModeThreadLocal) return fail(cudaErrorInvalidValue, "another capture mode");
  capturing = std::make_unique<CUgraph_st>();
  captured_streams = {stream};
  stream->graph = capturing.get();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* out) {
  *out = nullptr;
  if (stream != captured_streams.front())
    return fail(cudaErrorStreamCaptureUnmatched, "ended the capture of another stream");
  const bool joined = all_joined(*capturing);
  for (CUstream_st* one : captured_streams) {
    one->graph = nullptr;
    one->last.clear();
  }
  const std::unique_ptr<CUgraph_st> graph = std::move(capturing);
  if (std::exchange(invalid, false)) return fail(cudaErrorStreamCaptureInvalidated);
  if (!joined)
    return fail(cudaErrorStreamCaptureUnjoined, "a capture ended with a branch that is not joined");
  *out = new CUgraph_st(std::move(*graph));
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
  return push(stream, [exec] { run_nodes(exec->nodes); });
}

}  // extern "C"
