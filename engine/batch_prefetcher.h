#pragma once
// Batches of a data set that stays on the disk. A thread reads the next batch while a step runs on the last
// one.
//
// Two host buffers and one device buffer are allocated by the constructor; feed() allocates nothing. A
// buffer may be refilled only after its upload has run, so feed() waits for the stream first: the device
// idles for one upload per step.

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/data/image_source.h"
#include "kernels/runtime/device.h"

namespace tdds {

class BatchPrefetcher {
 public:
  // batch: the images of a step; the last step of an order may have fewer. `source` must outlive the
  // prefetcher.
  BatchPrefetcher(Device& device, Stream& stream, const ImageSource& source, std::int64_t image_bytes,
                  std::int32_t batch);
  ~BatchPrefetcher();
  BatchPrefetcher(const BatchPrefetcher&) = delete;
  BatchPrefetcher& operator=(const BatchPrefetcher&) = delete;

  // The next batches are the rows order[cursor], order[cursor + 1], ... `order` must not change before its
  // last batch is fed or start() is called again.
  void start(std::span<const std::int32_t> order, std::int64_t cursor);

  // Enqueues the upload of the next batch to images(). Rethrows an exception of the reading thread.
  void feed();

  const std::uint8_t* images() const { return staging_.get<std::uint8_t>(); }  // [B,H,W,3]

  // Seconds that feed() waited for the reading thread since the prefetcher was made.
  double waited() const { return waited_; }

 private:
  struct Request {
    std::span<const std::int32_t> rows;
    int buffer = 0;
  };
  void request();  // the batch at cursor_, if there is one
  void wait_until_read();
  void work();
  void read(const Request& request);

  Stream& stream_;
  const ImageSource& source_;
  std::int64_t image_bytes_, cursor_ = 0;
  std::int32_t batch_;
  std::vector<std::uint8_t> buffers_[2];
  DeviceMemory staging_;
  std::span<const std::int32_t> order_;
  double waited_ = 0;

  // Shared with the thread.
  std::mutex mutex_;
  std::condition_variable changed_;
  Request request_;
  bool pending_ = false, quit_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace tdds
