// A stand-in for NCCL that writes down its calls, and moves nothing.

#include "tests/cuda_host/fake_nccl.h"

#include <cstddef>
#include <cstdio>
#include <string>

namespace {

constexpr int kSuccess = 0, kInternalError = 3;

std::string calls, failing;
tdds::fake::EnqueueOn enqueue_on = nullptr;
int communicator = 0;  // its address is the handle

struct Id {
  char internal[128];
};

int result_of(const char* call) {
  return failing == call ? kInternalError : kSuccess;
}
void write_down(const std::string& line) {
  calls += line + "\n";
}
std::string address(const void* pointer) {
  char text[32];
  std::snprintf(text, sizeof(text), "%p", pointer);
  return text;
}

int run_on(cudaStream_t stream, const char* name, const void* send, const void* receive, std::size_t count,
           int type, int detail, const void* handle) {
  if (handle != &communicator || result_of(name) != kSuccess) return kInternalError;
  auto* line = new std::string(std::string(name) + " " + address(send) + " " + address(receive) + " " +
                               std::to_string(count) + " type " + std::to_string(type) + " " +
                               std::to_string(detail) + " on " + address(stream));
  // A graph executes it more than once, so it is never deleted.
  enqueue_on(
      stream, [](void* text) { write_down(*static_cast<std::string*>(text)); }, line);
  return kSuccess;
}

}  // namespace

extern "C" {

void fake_nccl_set(tdds::fake::EnqueueOn enqueue, const char* failing_call) {
  calls.clear();
  enqueue_on = enqueue;
  failing = failing_call;
}
const char* fake_nccl_calls() {
  return calls.c_str();
}

int ncclGetVersion(int* version) {
  *version = 22800;
  return kSuccess;
}
int ncclGetUniqueId(Id* id) {
  write_down("ncclGetUniqueId");
  std::snprintf(id->internal, sizeof(id->internal), "the identity");
  return result_of("ncclGetUniqueId");
}
int ncclCommInitRank(void** handle, int ranks, Id id, int rank) {
  write_down("ncclCommInitRank " + std::to_string(rank) + " of " + std::to_string(ranks) + ", " +
             id.internal);
  *handle = &communicator;
  return result_of("ncclCommInitRank");
}
int ncclCommDestroy(void*) {
  write_down("ncclCommDestroy");
  return kSuccess;
}
const char* ncclGetErrorString(int) {
  return "internal error";
}
const char* ncclGetLastError(void*) {
  return "the link is down";
}
int ncclAllReduce(const void* send, void* receive, std::size_t count, int type, int op, void* handle,
                  cudaStream_t stream) {
  return run_on(stream, "ncclAllReduce", send, receive, count, type, op, handle);
}
int ncclAllGather(const void* send, void* receive, std::size_t count, int type, void* handle,
                  cudaStream_t stream) {
  return run_on(stream, "ncclAllGather", send, receive, count, type, 0, handle);
}
int ncclBroadcast(const void* send, void* receive, std::size_t count, int type, int root, void* handle,
                  cudaStream_t stream) {
  return run_on(stream, "ncclBroadcast", send, receive, count, type, root, handle);
}

}  // extern "C"
