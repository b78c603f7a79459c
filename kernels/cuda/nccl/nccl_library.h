#pragma once
// The functions of NCCL 2 that are used, declared here because nccl.h is not in every installation of the
// toolkit. Its interface is stable within the major version; tests/cuda_host/nccl_test.cpp compares these
// declarations with nccl.h where there is one.

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>
#include <vector>

namespace tdds::nccl {

struct Comm;  // ncclComm
struct UniqueId {
  char internal[128];
};
using Result = int;
inline constexpr Result kSuccess = 0;
inline constexpr int kUint8 = 1, kFloat16 = 6, kFloat32 = 7, kBfloat16 = 9;  // ncclDataType_t
inline constexpr int kSum = 0;                                               // ncclRedOp_t

struct Library {
  Result (*ncclGetVersion)(int* version);
  Result (*ncclGetUniqueId)(UniqueId* id);
  Result (*ncclCommInitRank)(Comm** comm, int ranks, UniqueId id, int rank);
  Result (*ncclCommDestroy)(Comm* comm);
  const char* (*ncclGetErrorString)(Result result);
  const char* (*ncclGetLastError)(Comm* comm);
  Result (*ncclAllReduce)(const void* send, void* receive, std::size_t count, int type, int op, Comm* comm,
                          cudaStream_t stream);
  Result (*ncclAllGather)(const void* send, void* receive, std::size_t count, int type, Comm* comm,
                          cudaStream_t stream);
  Result (*ncclBroadcast)(const void* send, void* receive, std::size_t count, int type, int root, Comm* comm,
                          cudaStream_t stream);
};

// Loads the first of the files that exists; it stays loaded. Throws Error, saying how to get NCCL, if none
// does or a function is missing.
Library load(const std::vector<std::string>& files);

}  // namespace tdds::nccl
