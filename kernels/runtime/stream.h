#pragma once
// A stream is a queue of commands, on every device. A command is a kernel with its arguments copied by value,
// or a library call with its pointers. Commands run in order, and may run as late as the next synchronize().
// Until then a host buffer passed to upload() must stay alive and unchanged, and one passed to download()
// must stay alive and not be read.
//
// record() runs `body`, keeps the commands that it enqueues and does not execute them; replay() enqueues them
// again. On a GPU this is stream capture and a graph launch, on `cpu` and `simt` a list. Arguments are fixed
// when they are recorded, so values that change from one step to the next must be in device memory.
//
// fork() enqueues commands on a branch. They run in order, after everything enqueued before the fork, and may
// run at the same time as what the stream gets after the fork, until a join() covers them:
//
//   const Stream::Fork fork = stream.fork([&] { filter_gradient(stream, dy, dw); });  // reads dy, writes dw
//   data_gradient(stream, dy, dx);  // may run beside it: it may read dy, but not write it, nor touch dw
//   stream.join(fork);              // from here on, dy may be written and dw be read
//
// Two commands that may run at the same time need scratch memory of their own. A recording contains its forks
// and joins; they are not commands.

#include <cstddef>
#include <cstdint>
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

  // An upload whose transfer need not wait for its turn. Where Device::uploads_ahead, memory of
  // Device::allocate_host is copied to `staging`, device memory of the same size, beside the commands
  // enqueued before, and from there to `device_memory` in their order. Uploads of a stream may share
  // `staging`: a transfer waits until the one before has been taken from it. Elsewhere this is upload(), and
  // `staging` is not used.
  using Upload = std::int64_t;
  static constexpr Upload kNoUpload = 0;
  virtual Upload upload_ahead(void* device_memory, void* staging, const void* host, std::size_t bytes);
  // Returns when the host buffer of that upload may be changed.
  virtual void wait_for(Upload upload);

  virtual void zero(void* device_memory, std::size_t bytes) = 0;

  virtual std::unique_ptr<Recording> record(const std::function<void()>& body) = 0;
  virtual void replay(const Recording& recording) = 0;

  // Returns when all enqueued commands have run, also those of the branch; throws what they threw.
  virtual void synchronize() = 0;

  // The forks of a stream are numbered from 1. There is one branch, so a fork runs after the earlier ones.
  using Fork = std::int64_t;
  static constexpr Fork kNoFork = 0;

  // Enqueues on the branch what `body` enqueues. It may neither fork, join, record nor copy to or from the
  // host. On a device without branches (Device::has_branches) its commands run as if there were no fork.
  Fork fork(const std::function<void()>& body);
  // Commands enqueued from now on run after those of `fork` and of all forks before it. A recording begins
  // and ends with all forks joined.
  void join(Fork fork);
  void join() { join(forks_); }
  bool joined() const { return joined_ == forks_; }

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

  // Without these three, a branch runs in place.
  virtual void fork_begins(Fork) {}
  virtual void fork_ends(Fork) {}
  virtual void joins(Fork) {}  // never of a fork that is joined already
  // Whether the body of a fork is being enqueued.
  bool in_fork() const { return in_fork_; }
  // Throw Error, naming `call`: inside a fork; and also while one is not joined.
  void check_outside_fork(const char* call) const;
  void check_joined(const char* call) const;
  // After a recording that failed: its forks do not exist.
  void forget_forks() { joined_ = forks_; }

 private:
  Device& device_;
  Fork forks_ = 0, joined_ = 0;  // the latest of each
  bool in_fork_ = false;
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
