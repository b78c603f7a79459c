#pragma once
// The stream of the devices `cpu` and `simt`: a command is a function and a copy of its arguments.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {

struct HostCommand {
  static constexpr std::size_t kArgsBytes = 384;  // enough for the largest argument struct of an op

  const char* name;
  void (*run)(const void* args);  // null: a join
  Stream::Fork fork;              // that it belongs to or waits for; kNoFork: it is not on the branch
  alignas(16) std::byte args[kArgsBytes];
};

// The total time of the commands of one name.
struct CommandTime {
  std::int64_t calls = 0;
  double seconds = 0, cpu_seconds = 0;  // wall time; CPU time of all threads together
};

class HostRecording final : public Recording {
 public:
  explicit HostRecording(std::vector<HostCommand> commands) : list(std::move(commands)) {}
  std::size_t commands() const override;
  const std::vector<HostCommand> list;  // with the joins
};

class HostStream final : public Stream {
 public:
  // If the device has debug_sync, every command runs immediately in either mode, and every branch in place.
  HostStream(Device& device, StreamMode mode, Branches branches = Branches::kInPlace,
             std::uint32_t branch_seed = 0)
      : Stream(device),
        mode_(device.debug_sync() ? StreamMode::kImmediate : mode),
        branches_(device.debug_sync() ? Branches::kInPlace : branches),
        random_(branch_seed) {}
  ~HostStream() override = default;

  // Runs the command now, queues it until synchronize(), or adds it to the recording. On the branch, now is
  // when DeviceOptions::branches says.
  void enqueue(HostCommand command);

  // Starts timing every command.
  void time_commands() { timing_ = true; }
  const std::map<std::string, CommandTime>& command_times() const { return times_; }

  void upload(void* device_memory, const void* host, std::size_t bytes) override;
  void download(void* host, const void* device_memory, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void zero(void* device_memory, std::size_t bytes) override;
  std::unique_ptr<Recording> record(const std::function<void()>& body) override;
  void replay(const Recording& recording) override;
  void synchronize() override;

 protected:
  void fork_begins(Fork fork) override { fork_ = fork; }
  void fork_ends(Fork) override { fork_ = kNoFork; }
  void joins(Fork fork) override;

 private:
  void add(const HostCommand& command);
  void perform(const HostCommand& command);  // a command or a join whose turn it is
  void run_first_of_branch();
  void run(const HostCommand& command);
  void run_named(const HostCommand& command) const;  // with the command's name in errors, under debug_sync

  StreamMode mode_;
  Branches branches_;
  std::mt19937 random_;
  Fork fork_ = kNoFork;              // whose body is being enqueued
  std::deque<HostCommand> waiting_;  // commands of the branch whose turn has not come
  bool timing_ = false;
  std::map<std::string, CommandTime> times_;
  bool recording_ = false;
  std::vector<HostCommand> recorded_;
  std::vector<HostCommand> queue_;
};

// Enqueues `run(args)`. Args must be trivially copyable: it is copied now and read when the command runs.
template <class Args>
void enqueue(Stream& stream, const char* name, const Args& args, void (*run)(const Args&)) {
  static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) + sizeof(run) <= HostCommand::kArgsBytes);
  struct Call {
    void (*run)(const Args&);
    Args args;
  };
  HostCommand command{};
  command.name = name;
  command.run = [](const void* bytes) {
    const auto& call = *static_cast<const Call*>(bytes);
    call.run(call.args);
  };
  const Call call{run, args};
  std::memcpy(command.args, &call, sizeof(call));
  static_cast<HostStream&>(stream).enqueue(command);
}

// A device whose memory is the host's: `cpu` or `simt`.
std::unique_ptr<Device> make_host_device(DeviceKind kind, const Ops& ops, const DeviceOptions& = {});

}  // namespace tdds
