#pragma once
// A stream is a queue of commands, on every device. A command is a kernel with its arguments copied by value,
// or a library call with its pointers. Commands run in order, and may run as late as the next synchronize():
// a host buffer handed to upload() or download() must stay alive, and unchanged or unread, until then.
//
// record() runs `body` without executing what it enqueues and keeps the commands; replay() enqueues them
// again. On a GPU that is stream capture and a graph launch, on `cpu` and `simt` a list. What changes from
// one step to the next must therefore live in device memory: an argument is frozen when it is recorded, on
// every device.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

class Device;

class Recording {
 public:
  virtual ~Recording() = default;
  virtual std::size_t commands() const = 0;
};

class Stream {
 public:
  explicit Stream(Device& device) : device_(device) {}
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Device& device() const { return device_; }

  virtual void upload(void* device_memory, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device_memory, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;  // device to device, not overlapping
  virtual void zero(void* device_memory, std::size_t bytes) = 0;

  virtual std::unique_ptr<Recording> record(const std::function<void()>& body) = 0;
  virtual void replay(const Recording& recording) = 0;

  // Returns when everything enqueued has run; throws what the commands threw.
  virtual void synchronize() = 0;

  // What is enqueued until the matching end_range() belongs to `name`, which is copied: shown by profilers,
  // and named in errors that are found at once. The copy's memory serves the next range of the same depth.
  void begin_range(std::string_view name) {
    if (depth_ == ranges_.size()) ranges_.emplace_back();
    ranges_[depth_] = name;
    range_begins(ranges_[depth_++].c_str());
  }
  void end_range() {
    --depth_;
    range_ends();
  }
  // " of layer1.0.conv1" within its range, else "".
  std::string of_range() const { return depth_ == 0 ? "" : " of " + ranges_[depth_ - 1]; }

 protected:
  virtual void range_begins(const char*) {}
  virtual void range_ends() {}

 private:
  Device& device_;
  std::vector<std::string> ranges_;  // of which the first depth_ are open
  std::size_t depth_ = 0;
};

// A range of a stream from here to the end of the block.
class StreamRange {
 public:
  StreamRange(Stream& stream, std::string_view name) : stream_(stream) { stream_.begin_range(name); }
  ~StreamRange() { stream_.end_range(); }
  StreamRange(const StreamRange&) = delete;
  StreamRange& operator=(const StreamRange&) = delete;

 private:
  Stream& stream_;
};

}  // namespace tdds
