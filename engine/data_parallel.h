#pragma once
// Training by several processes: each rank computes a slice of every batch.
//
// All ranks see the whole batch's logits: they are gathered, every rank computes the loss and the dynamics
// of all of them, and continues with its slice of their gradient. What follows from the logits (dynamics,
// running sums, the factor of the sample weights) has therefore the same bits on every rank, and equals that
// of one process up to the order of sums in the network. Gradients of parameters are added over the ranks.
// The loss is a mean over the whole batch, so this sum is the mean over its samples, also where ranks have
// unequal slices, or none.
//
// Batch norm sees the slice only, as in PyTorch's DistributedDataParallel, or, with `sync_batchnorm`, the
// whole batch, as in PyTorch's SyncBatchNorm. The ranks then exchange two numbers per channel in each batch
// norm and direction, and compute what one process does, up to the order of sums. The running statistics that
// count are those of rank 0.

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/net.h"
#include "engine/statistics_exchange.h"
#include "kernels/ranks/collectives.h"
#include "kernels/ranks/ranks.h"

namespace tdds {

// Consecutive images of a batch.
struct BatchSlice {
  std::int32_t first = 0, count = 0;
};

// The slices of the ranks are equal but for the last ones, which may be shorter or empty. So equal slots,
// one after the other, hold a batch without gaps.
std::int32_t slot_size(std::int64_t batch, int ranks);
BatchSlice slice_of(std::int32_t batch, int rank, int ranks);

// Throws UsageError where a rank would have no image of a full batch.
void check_shared_batch(std::int32_t batch, int ranks);

struct ExchangeOptions {
  bool sync_batchnorm = false;
  // The least bytes of gradients that are exchanged at once. Smaller exchanges take little less time, and
  // larger ones begin later.
  std::size_t bucket_bytes = 4 << 20;
};

class DataParallel final : public StatisticsExchange {
 public:
  // `ranks` must outlive this.
  explicit DataParallel(Ranks& ranks, const ExchangeOptions& options = {})
      : ranks_(ranks), sync_batchnorm_(options.sync_batchnorm), bucket_bytes_(options.bucket_bytes) {}

  // Connects the devices of the ranks. Collective, before the first step; `device` must outlive this.
  void connect(Device& device) { connect(make_collectives(device, ranks_)); }
  void connect(std::unique_ptr<Collectives> collectives) { collectives_ = std::move(collectives); }

  Ranks& ranks() const { return ranks_; }
  BatchSlice slice(std::int32_t batch) const { return slice_of(batch, ranks_.rank(), ranks_.size()); }
  // For the passes of a batch.
  WholeBatch whole(std::int32_t batch) {
    return sync_batchnorm_ ? WholeBatch{.exchange = this, .images = batch} : WholeBatch{};
  }

  // Allocates what the exchanges need for batches of up to `batch`. Throws UsageError where a batch of this
  // size leaves a rank without images.
  void allocate(Device& device, Net& net, std::int32_t batch, bool features);
  std::size_t bytes() const;

  // The exchanges of batch norm in a pass, for a rank without images, which has no pass.
  void take_part_in_forward(Stream& stream);
  void take_part_in_backward(Stream& stream);
  float* mine(std::int32_t channels) override;
  BatchNormPartials gather(Stream& stream, std::int32_t channels, std::int32_t images,
                           std::int64_t positions) override;

  // Loss and dynamics of the whole batch of loss.softmax.batch. `pass` has computed the logits of this
  // rank's slice, and gets their gradient; null if the slice is empty.
  void loss(Stream& stream, Pass* pass, const Pass::Loss& loss);

  // Adds up the gradients over the ranks: [n] of `dtype`, in place.
  void add(Stream& stream, void* gradient, std::int64_t n, DType dtype);

  // The same for the gradients of `params` while a backward pass computes the others: for each mark that it
  // reaches. What is reached is collected to buckets, whose exchange runs on the branch. Batch norm's
  // exchanges are on the main branch, and NCCL must not run two at the same time, so with them there is one
  // bucket, at the end.
  void add_reached(Stream& stream, const Params& params, std::size_t mark);
  std::size_t buckets() const { return buckets_.size(); }

  // Gives every rank the running statistics of rank 0.
  void share_running(Stream& stream, const Params& params);

 private:
  void plan_buckets(Net& net);
  void gather_rows(Stream& stream, const float* own_rows, const DeviceMemory& all, std::int32_t batch,
                   std::int32_t width);
  void gather_statistics(Stream& stream, std::int32_t channels);

  Ranks& ranks_;
  const bool sync_batchnorm_;
  const std::size_t bucket_bytes_;
  std::unique_ptr<Collectives> collectives_;
  DeviceMemory logits_, dlogits_, features_;  // [ranks * slot][K], [B,K], [ranks * slot][F]
  std::int32_t feature_width_ = 0;
  DeviceMemory statistics_;                  // [ranks][2][C] of one batch norm at a time
  std::vector<std::int32_t> norm_channels_;  // of the net; empty without sync_batchnorm
  struct Bucket {
    std::size_t mark;         // with which it is complete
    GradientMark begin, end;  // of its parameters
  };
  std::vector<Bucket> buckets_;
};

// This rank's; all of the batch where there is one process, and `parallel` null.
inline BatchSlice slice_of(const DataParallel* parallel, std::int32_t batch) {
  return parallel ? parallel->slice(batch) : BatchSlice{.first = 0, .count = batch};
}

}  // namespace tdds
