#include "kernels/cuda/nccl/nccl_library.h"

#include <dlfcn.h>
#include <fmt/ranges.h>

#include "kernels/runtime/check.h"

namespace tdds::nccl {
namespace {

template <class Function>
void find(void* handle, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(handle, name));
  check(function != nullptr, "NCCL has no function {}: install NCCL 2.18 or newer", name);
}

}  // namespace

Library load(const std::vector<std::string>& files) {
  void* handle = nullptr;
  std::vector<std::string> reasons;
  for (const std::string& file : files) {
    handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle) break;
    reasons.emplace_back(dlerror());
  }
  check(
      handle != nullptr,
      "training on several GPUs needs NCCL, which was not found ({}); install libnccl2 or the Python package "
      "nvidia-nccl-cu13, and give the path of libnccl.so.2 in the environment variable TDDS_NCCL",
      fmt::join(reasons, "; "));
  Library library;
#define TDDS_FIND(name) find(handle, #name, library.name)
  TDDS_FIND(ncclGetVersion);
  TDDS_FIND(ncclGetUniqueId);
  TDDS_FIND(ncclCommInitRank);
  TDDS_FIND(ncclCommDestroy);
  TDDS_FIND(ncclGetErrorString);
  TDDS_FIND(ncclGetLastError);
  TDDS_FIND(ncclAllReduce);
  TDDS_FIND(ncclAllGather);
  TDDS_FIND(ncclBroadcast);
#undef TDDS_FIND
  return library;
}

}  // namespace tdds::nccl
