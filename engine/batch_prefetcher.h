#pragma once
// Batches of a data set that stays on the disk. A thread reads the next batch while a step runs on the last
// one.
//
// All buffers are allocated by the constructor. Of two host buffers, one is uploaded while the other is
// filled. On a GPU the upload of a batch runs beside the step before it (Stream::upload_ahead), and feed()
// waits until the upload before has left its buffer: the device then has two more steps to run. Elsewhere
// feed() waits for the stream.

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <thread>

#include "engine/data/image_source.h"
#include "engine/data_parallel.h"
#include "kernels/runtime/device.h"

namespace tdds {

class BatchPrefetcher {
 public:
  // batch: the images of a step; the last step of an order may have fewer. With `parallel`, this rank reads
  // its slice of them. `source` and `parallel` must outlive the prefetcher.
  BatchPrefetcher(Device& device, Stream& stream, const ImageSource& source, std::int64_t image_bytes,
                  std::int32_t batch, const DataParallel* parallel = nullptr);
  ~BatchPrefetcher();
  BatchPrefetcher(const BatchPrefetcher&) = delete;
  BatchPrefetcher& operator=(const BatchPrefetcher&) = delete;

  // The next batches are the rows order[cursor], order[cursor + 1], ... `order` must not change before its
  // last batch is fed or start() is called again.
  void start(std::span<const std::int32_t> order, std::int64_t cursor);

  // Enqueues the upload of the next batch to images(). Rethrows an exception of the reading thread.
  void feed();

  const std::uint8_t* images() const { return images_.get<std::uint8_t>(); }  // [B,H,W,3]

  // Seconds that feed() waited for the reading thread since the prefetcher was made.
  double waited() const { return waited_; }

 private:
  struct Request {
    std::span<const std::int32_t> rows;
    std::int32_t batch = 0;  // of which these are this rank's
    int buffer = 0;
  };
  void request();  // the batch at cursor_, if there is one
  void wait_until_read();
  void work();
  void read(const Request& request);

  Stream& stream_;
  const ImageSource& source_;
  const DataParallel* parallel_;
  std::int64_t image_bytes_, cursor_ = 0;
  std::int32_t batch_;
  HostMemory buffers_[2];
  Stream::Upload uploads_[2] = {};  // the last one of each
  DeviceMemory images_, staging_;   // staging only where the stream uses it
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
