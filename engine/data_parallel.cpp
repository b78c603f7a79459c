#include "engine/data_parallel.h"

#include <algorithm>

#include "kernels/numerics/round_up.h"
#include "kernels/ops/feature_norm.h"

namespace tdds {

std::int32_t slot_size(std::int64_t batch, int ranks) {
  return static_cast<std::int32_t>(ceil_div<std::int64_t>(batch, ranks));
}

BatchSlice slice_of(std::int32_t batch, int rank, int ranks) {
  const std::int32_t slot = slot_size(batch, ranks);
  const auto first = static_cast<std::int32_t>(std::min<std::int64_t>(batch, std::int64_t{slot} * rank));
  return {.first = first, .count = std::min(slot, batch - first)};
}

void check_shared_batch(std::int32_t batch, int ranks) {
  check_usage(
      slice_of(batch, ranks - 1, ranks).count > 0,
      "{} ranks cannot share a batch of {} images: slices of {} leave none for rank {}; choose another "
      "`batch_size` (with `accumulate`: another part of it), or fewer ranks",
      ranks, batch, slot_size(batch, ranks), ranks - 1);
}

void DataParallel::allocate(Device& device, Net& net, std::int32_t batch, bool features) {
  check_shared_batch(batch, ranks_.size());
  plan_buckets(net);
  const std::size_t rows = static_cast<std::size_t>(slot_size(batch, ranks_.size())) * ranks_.size();
  const std::size_t row = static_cast<std::size_t>(net.classes()) * sizeof(float);
  logits_ = DeviceMemory(device, rows * row, "the logits of all ranks");
  dlogits_ = DeviceMemory(device, static_cast<std::size_t>(batch) * row, "their gradient");
  if (sync_batchnorm_) {
    norm_channels_ = net.norm_channels();
    const auto most =
        static_cast<std::size_t>(*std::max_element(norm_channels_.begin(), norm_channels_.end()));
    statistics_ = DeviceMemory(device, static_cast<std::size_t>(ranks_.size()) * 2 * most * sizeof(float),
                               "the statistics of all ranks");
  }
  if (!features) return;
  feature_width_ = net.features();
  features_ = DeviceMemory(device, rows * static_cast<std::size_t>(feature_width_) * sizeof(float),
                           "the features of all ranks");
}

void DataParallel::plan_buckets(Net& net) {
  const Params::Range &filters = net.params().filters(), &vectors = net.params().vectors();
  const std::vector<GradientMark> marks = net.gradient_marks();
  GradientMark end{.filters = filters.n, .vectors = vectors.n};
  buckets_.clear();
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const auto bytes =
        static_cast<std::size_t>(end.filters - marks[i].filters) * element_size(filters.compute_type) +
        static_cast<std::size_t>(end.vectors - marks[i].vectors) * sizeof(float);
    const bool wait = bytes < bucket_bytes_ || sync_batchnorm_;
    if (wait && i + 1 < marks.size()) continue;
    buckets_.push_back({.mark = i, .begin = marks[i], .end = end});
    end = marks[i];
  }
}

std::size_t DataParallel::bytes() const {
  return logits_.bytes() + dlogits_.bytes() + features_.bytes() + statistics_.bytes();
}

float* DataParallel::mine(std::int32_t channels) {
  return statistics_.get<float>() + std::int64_t{2} * ranks_.rank() * channels;
}

void DataParallel::gather_statistics(Stream& stream, std::int32_t channels) {
  collectives_->all_gather(stream, statistics_.data(),
                           2 * static_cast<std::size_t>(channels) * sizeof(float));
}

// Ranks without images are the last ones, and left out by the number of rows.
BatchNormPartials DataParallel::gather(Stream& stream, std::int32_t channels, std::int32_t images,
                                       std::int64_t positions) {
  gather_statistics(stream, channels);
  return {.groups = statistics_.get<float>(),
          .group_rows = slot_size(images, ranks_.size()) * positions,
          .total_rows = images * positions};
}

void DataParallel::take_part_in_forward(Stream& stream) {
  for (const std::int32_t channels : norm_channels_) gather_statistics(stream, channels);
}
void DataParallel::take_part_in_backward(Stream& stream) {
  for (std::size_t i = norm_channels_.size(); i-- > 0;) gather_statistics(stream, norm_channels_[i]);
}

void DataParallel::gather_rows(Stream& stream, const float* own_rows, const DeviceMemory& all,
                               std::int32_t batch, std::int32_t width) {
  const BatchSlice own = slice(batch);
  const std::size_t row = static_cast<std::size_t>(width) * sizeof(float);
  const std::size_t slot = static_cast<std::size_t>(slot_size(batch, ranks_.size())) * row;
  if (own.count > 0)
    stream.copy(all.get<std::byte>() + static_cast<std::size_t>(ranks_.rank()) * slot, own_rows,
                static_cast<std::size_t>(own.count) * row);
  collectives_->all_gather(stream, all.data(), slot);
}

void DataParallel::loss(Stream& stream, Pass* pass, const Pass::Loss& loss) {
  SoftmaxKlArgs args = loss.softmax;
  gather_rows(stream, pass ? pass->logits() : nullptr, logits_, args.batch, args.classes);
  args.logits = logits_.get<float>();
  args.dlogits = dlogits_.get<float>();
  softmax_kl(stream, args);
  if (loss.feature_norm) {
    gather_rows(stream, pass ? pass->features() : nullptr, features_, args.batch, feature_width_);
    tdds::feature_norm(stream, {.features = features_.get<float>(),
                                .order = args.order,
                                .state = args.state,
                                .norm = loss.feature_norm,
                                .batch = args.batch,
                                .width = feature_width_});
  }
  const BatchSlice own = slice(args.batch);
  const std::size_t row = static_cast<std::size_t>(args.classes) * sizeof(float);
  if (pass)
    stream.copy(pass->dlogits(), dlogits_.get<std::byte>() + static_cast<std::size_t>(own.first) * row,
                static_cast<std::size_t>(own.count) * row);
}

void DataParallel::add(Stream& stream, void* gradient, std::int64_t n, DType dtype) {
  collectives_->sum(stream, gradient, n, dtype);
}

void DataParallel::share_running(Stream& stream, const Params& params) {
  const std::span<float> running = params.all_running();
  collectives_->broadcast(stream, running.data(), running.size_bytes());
}

void DataParallel::add_reached(Stream& stream, const Params& params, std::size_t mark) {
  const auto add_part = [&](const Params::Range& range, std::int64_t begin, std::int64_t end) {
    auto* const gradient = static_cast<std::byte*>(range.gradient);
    const auto offset = static_cast<std::size_t>(begin) * element_size(range.compute_type);
    if (end > begin) add(stream, gradient + offset, end - begin, range.compute_type);
  };
  for (const Bucket& bucket : buckets_) {
    if (bucket.mark != mark) continue;
    const auto exchange = [&] {
      add_part(params.filters(), bucket.begin.filters, bucket.end.filters);
      add_part(params.vectors(), bucket.begin.vectors, bucket.end.vectors);
    };
    stream.fork(exchange);
  }
}

}  // namespace tdds
