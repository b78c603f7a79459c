#pragma once
// A stream is a queue of commands, on every device. A command is a kernel with its arguments copied by value,
// or a library call with its pointers. Commands run in order, and may run as late as the next synchronize().
// Until then a host buffer passed to upload() must stay alive and unchanged, and one passed to download()
// must stay alive and not be read.
//
// record() runs `body`, keeps the commands that it enqueues and does not execute them; replay() enqueues them
// again. On a GPU this is stream capture and a graph launch, on `cpu` and `simt` a list. Arguments are fixed
// when they are recorded, so values that change from one step to the next must be in device memory.

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

  // Returns when all enqueued commands have run; throws what they threw.
  virtual void synchronize() = 0;

  // Commands enqueued until the matching end_range() belong to `name`: profilers show it, and errors that are
  // detected immediately include it. `name` is copied into memory that the next range of the same depth
  // reuses.
  void begin_range(std::string_view name) {
    if (depth_ == ranges_.size()) ranges_.emplace_back();
    ranges_[depth_] = name;
    range_begins(ranges_[depth_++].c_str());
  }
  void end_range() {
    --depth_;
    range_ends();
  }
  // " of layer1.0.conv1" inside a range, else "".
  std::string of_range() const { return depth_ == 0 ? "" : " of " + ranges_[depth_ - 1]; }

 protected:
  virtual void range_begins(const char*) {}
  virtual void range_ends() {}

 private:
  Device& device_;
  std::vector<std::string> ranges_;  // the first depth_ are open
  std::size_t depth_ = 0;
};

// A range of a stream from construction to destruction.
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
