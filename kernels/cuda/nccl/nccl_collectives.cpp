#include "kernels/cuda/nccl/nccl_collectives.h"

#include <cstdlib>

#include "kernels/cuda/command.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/nccl/nccl_library.h"
#include "kernels/ranks/ranks.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

std::vector<std::string> files_of(const char* library) {
  if (library) return {library};
  std::vector<std::string> files;
  if (const char* given = std::getenv("TDDS_NCCL"); given && *given) return {given};
  files.emplace_back("libnccl.so.2");
#ifdef TDDS_NCCL_OF_BUILD
  files.emplace_back(TDDS_NCCL_OF_BUILD);
#endif
  return files;
}

int type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return nccl::kFloat32;
    case DType::kF16:
      return nccl::kFloat16;
    case DType::kBf16:
      return nccl::kBfloat16;
    default:
      throw Error("Collectives::sum: there is no sum of this type");
  }
}

class NcclCollectives final : public Collectives {
 public:
  NcclCollectives(CudaDevice& device, Ranks& ranks, const char* library)
      : nccl_(nccl::load(files_of(library))), ranks_(ranks) {
    device.make_current();
    nccl::UniqueId id{};
    if (ranks.first()) check_nccl(nccl_.ncclGetUniqueId(&id), "ncclGetUniqueId");
    ranks.broadcast(&id, sizeof(id));
    check_nccl(nccl_.ncclCommInitRank(&comm_, ranks.size(), id, ranks.rank()), "ncclCommInitRank");
  }
  // Rank by rank the same work was enqueued, so it has ended when the stream was waited for.
  ~NcclCollectives() override { static_cast<void>(nccl_.ncclCommDestroy(comm_)); }

  void all_gather(Stream& stream, void* slots, std::size_t slot_bytes) override {
    const char* own = static_cast<const char*>(slots) + static_cast<std::size_t>(ranks_.rank()) * slot_bytes;
    CudaCommand command(stream, "all_gather");
    check_nccl(nccl_.ncclAllGather(own, slots, slot_bytes, nccl::kUint8, comm_, command.stream()),
               "ncclAllGather");
    command.finish();
  }
  void sum(Stream& stream, void* data, std::int64_t n, DType dtype) override {
    CudaCommand command(stream, "sum_of_ranks");
    check_nccl(nccl_.ncclAllReduce(data, data, static_cast<std::size_t>(n), type_of(dtype), nccl::kSum, comm_,
                                   command.stream()),
               "ncclAllReduce");
    command.finish();
  }
  void broadcast(Stream& stream, void* data, std::size_t bytes) override {
    CudaCommand command(stream, "broadcast");
    check_nccl(nccl_.ncclBroadcast(data, data, bytes, nccl::kUint8, 0, comm_, command.stream()),
               "ncclBroadcast");
    command.finish();
  }

 private:
  void check_nccl(nccl::Result result, const char* call) const {
    check(result == nccl::kSuccess,
          "{} failed on rank {}: {} ({}); NCCL_DEBUG=INFO in the environment shows more", call, ranks_.rank(),
          nccl_.ncclGetErrorString(result), nccl_.ncclGetLastError(comm_));
  }

  nccl::Library nccl_;
  Ranks& ranks_;
  nccl::Comm* comm_ = nullptr;
};

}  // namespace

std::unique_ptr<Collectives> make_nccl_collectives(Device& device, Ranks& ranks, const char* library) {
  return std::make_unique<NcclCollectives>(static_cast<CudaDevice&>(device), ranks, library);
}

}  // namespace tdds
