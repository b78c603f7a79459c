#include "engine/batch_prefetcher.h"

#include <algorithm>
#include <chrono>

#include "kernels/runtime/check.h"

namespace tdds {

BatchPrefetcher::BatchPrefetcher(Device& device, Stream& stream, const ImageSource& source,
                                 std::int64_t image_bytes, std::int32_t batch, const DataParallel* parallel)
    : stream_(stream), source_(source), parallel_(parallel), image_bytes_(image_bytes), batch_(batch) {
  const auto bytes = static_cast<std::size_t>(batch * image_bytes);
  for (HostMemory& buffer : buffers_) buffer = HostMemory(device, bytes, "a batch of images");
  images_ = DeviceMemory(device, bytes, "a batch of images");
  if (device.uploads_ahead()) staging_ = DeviceMemory(device, bytes, "the transfer of a batch of images");
  thread_ = std::thread([this] { work(); });
}

BatchPrefetcher::~BatchPrefetcher() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BatchPrefetcher::start(std::span<const std::int32_t> order, std::int64_t cursor) {
  wait_until_read();
  stream_.synchronize();
  order_ = order;
  cursor_ = cursor;
  request();
}

void BatchPrefetcher::request() {
  const std::int64_t left = static_cast<std::int64_t>(order_.size()) - cursor_;
  if (left == 0) return;
  const auto batch = static_cast<std::int32_t>(std::min<std::int64_t>(left, batch_));
  const BatchSlice slice = slice_of(parallel_, batch);
  const std::lock_guard lock(mutex_);
  request_.rows =
      order_.subspan(static_cast<std::size_t>(cursor_ + slice.first), static_cast<std::size_t>(slice.count));
  request_.batch = batch;
  request_.buffer ^= 1;
  failure_ = nullptr;
  pending_ = true;
  changed_.notify_all();
}

void BatchPrefetcher::wait_until_read() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pending_; });
}

void BatchPrefetcher::feed() {
  check(cursor_ < static_cast<std::int64_t>(order_.size()), "BatchPrefetcher::feed: the order is at its end");
  const auto start = std::chrono::steady_clock::now();
  wait_until_read();
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (failure_) std::rethrow_exception(failure_);
  const Request ready = request_;
  cursor_ += ready.batch;
  stream_.wait_for(uploads_[ready.buffer ^ 1]);  // from the buffer of the next batch
  request();
  if (ready.rows.empty()) return;
  uploads_[ready.buffer] =
      stream_.upload_ahead(images_.data(), staging_.data(), buffers_[ready.buffer].get<void>(),
                           ready.rows.size() * static_cast<std::size_t>(image_bytes_));
}

void BatchPrefetcher::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return pending_ || quit_; });
    if (quit_) return;
    const Request current = request_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      read(current);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    pending_ = false;
    changed_.notify_all();
  }
}

void BatchPrefetcher::read(const Request& request) {
  auto* out = buffers_[request.buffer].get<std::uint8_t>();
  for (const std::int32_t row : request.rows) {
    source_.read(row, out);
    out += image_bytes_;
  }
}

}  // namespace tdds
