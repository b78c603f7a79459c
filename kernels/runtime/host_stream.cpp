#include "kernels/runtime/host_stream.h"

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>

#include "kernels/numerics/mib.h"
#include "kernels/runtime/geometry.h"
#include "kernels/runtime/host_peak.h"
#include "kernels/runtime/isa.h"

namespace tdds {
namespace {

constexpr std::size_t kPage = 4096, kHugePage = 2 << 20;

struct CopyArgs {
  void* to;
  const void* from;
  std::size_t bytes;
};
void run_copy(const CopyArgs& args) {
  if (args.bytes > 0)
    std::memcpy(args.to, args.from, args.bytes);  // memcpy takes no null pointer, even for 0
}

struct ZeroArgs {
  void* to;
  std::size_t bytes;
};
void run_zero(const ZeroArgs& args) {
  std::memset(args.to, 0, args.bytes);
}

class HostDevice final : public Device {
 public:
  HostDevice(DeviceKind kind, const Ops& ops, const DeviceOptions& options)
      : Device(kind, ops, options.debug_sync),
        counts_accesses_(options.count_accesses),
        branches_(options.branches),
        branch_seed_(options.branch_seed) {}

  std::string description() const override {
    return fmt::format("{}, {} threads, {}", to_string(kind()), omp_get_max_threads(), cpu::isa_name());
  }

  bool has_branches() const override { return branches_ > Branches::kBeside; }

  DevicePeak peak(std::size_t largest_tensor) const override {
    return kind() == DeviceKind::kCpu ? cpu::measured_peak(largest_tensor) : DevicePeak{};
  }

  void* allocate(std::size_t bytes, std::string_view what) override {
    const std::size_t alignment = bytes < kHugePage ? kPage : kHugePage;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, std::max<std::size_t>(bytes, 1)) != 0)
      throw OutOfMemory(
          fmt::format("not enough memory for {}: cannot allocate {:.1f} MiB; use a smaller batch or network",
                      what, mib(bytes)),
          0);
    // Convolutions stride through megabytes and with small pages wait for address translation. The call may
    // fail.
    if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
    std::memset(memory, 0xFF, bytes);
    ++allocations_;
    return memory;
  }
  void free(void* memory) noexcept override { std::free(memory); }
  std::int64_t allocations() const override { return allocations_; }
  bool allow_shared_memory(const void* kernel, std::size_t bytes) override {
    if (bytes > kMostSharedBytes) return false;
    if (bytes > shared_memory_limit(kernel)) set_shared_memory_limit(kernel, bytes);
    return true;
  }
  KernelCounts* kernel_counts() override { return counts_accesses_ ? &kernel_counts_ : nullptr; }

  std::unique_ptr<Stream> make_stream(StreamMode mode) override {
    return std::make_unique<HostStream>(*this, mode, branches_, branch_seed_);
  }

 private:
  std::int64_t allocations_ = 0;
  bool counts_accesses_;
  Branches branches_;
  std::uint32_t branch_seed_;
  KernelCounts kernel_counts_;
};

}  // namespace

std::unique_ptr<Device> make_host_device(DeviceKind kind, const Ops& ops, const DeviceOptions& options) {
  return std::make_unique<HostDevice>(kind, ops, options);
}

std::size_t HostRecording::commands() const {
  return static_cast<std::size_t>(
      std::count_if(list.begin(), list.end(), [](const HostCommand& one) { return one.run != nullptr; }));
}

void HostStream::enqueue(HostCommand command) {
  command.fork = fork_;
  add(command);
}

void HostStream::joins(Fork fork) {
  HostCommand join{};
  join.name = "join";
  join.fork = fork;
  add(join);
}

void HostStream::add(const HostCommand& command) {
  if (recording_)
    recorded_.push_back(command);
  else if (mode_ == StreamMode::kDeferred)
    queue_.push_back(command);
  else
    perform(command);
}

void HostStream::perform(const HostCommand& command) {
  const bool is_join = command.run == nullptr;
  if (is_join) {
    while (!waiting_.empty() && waiting_.front().fork <= command.fork) run_first_of_branch();
  } else if (command.fork != kNoFork && branches_ >= Branches::kAtJoin) {
    waiting_.push_back(command);
  } else {
    if (branches_ == Branches::kInterleaved)
      while (!waiting_.empty() && random_() % 2 == 0) run_first_of_branch();
    run(command);
  }
}

void HostStream::run_first_of_branch() {
  const HostCommand command = waiting_.front();
  waiting_.pop_front();
  run(command);
}

void HostStream::run(const HostCommand& command) {
  if (!timing_) return run_named(command);
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const std::clock_t cpu_start = std::clock();
  run_named(command);
  CommandTime& time = times_[command.name];
  ++time.calls;
  time.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  time.cpu_seconds += static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
}

void HostStream::run_named(const HostCommand& command) const {
  if (!device().debug_sync()) {
    command.run(command.args);
    return;
  }
  try {
    command.run(command.args);
  } catch (const Error& error) {
    throw Error(fmt::format("the command '{}'{} failed: {}", command.name, of_range(), error.what()));
  }
}

void HostStream::upload(void* device_memory, const void* host, std::size_t bytes) {
  check_outside_fork("Stream::upload");
  tdds::enqueue<CopyArgs>(*this, "upload", {device_memory, host, bytes}, run_copy);
}
void HostStream::download(void* host, const void* device_memory, std::size_t bytes) {
  check_outside_fork("Stream::download");
  tdds::enqueue<CopyArgs>(*this, "download", {host, device_memory, bytes}, run_copy);
}
void HostStream::copy(void* to, const void* from, std::size_t bytes) {
  tdds::enqueue<CopyArgs>(*this, "copy", {to, from, bytes}, run_copy);
}
void HostStream::zero(void* device_memory, std::size_t bytes) {
  tdds::enqueue<ZeroArgs>(*this, "zero", {device_memory, bytes}, run_zero);
}

std::unique_ptr<Recording> HostStream::record(const std::function<void()>& body) {
  check(!recording_, "Stream::record: this stream is already recording");
  check_joined("Stream::record");
  recording_ = true;
  recorded_.clear();
  try {
    body();
    check_joined("Stream::record");
  } catch (...) {
    recording_ = false;
    forget_forks();
    throw;
  }
  recording_ = false;
  return std::make_unique<HostRecording>(std::move(recorded_));
}

void HostStream::replay(const Recording& recording) {
  check_joined("Stream::replay");
  for (const HostCommand& command : static_cast<const HostRecording&>(recording).list) add(command);
}

void HostStream::synchronize() {
  check(!recording_, "Stream::synchronize: not allowed while recording");
  join();
  // If a command throws, the commands after it are dropped, as after a device error.
  std::vector<HostCommand> queue = std::move(queue_);
  queue_.clear();
  try {
    for (const HostCommand& command : queue) perform(command);
  } catch (...) {
    waiting_.clear();
    throw;
  }
}

}  // namespace tdds
