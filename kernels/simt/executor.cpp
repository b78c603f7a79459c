#include "kernels/simt/executor.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/runtime/check.h"
#include "kernels/simt/access_recorder.h"
#include "kernels/simt/async_copies.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/schedule.h"

namespace tdds::simt {

constinit thread_local const ThreadContext* current_thread = nullptr;

std::string text(const Site& site) {
  return fmt::format("{}:{}:{}", site.file_name(), site.line(), site.column());
}
std::string text(const Dim3& at) {
  return fmt::format("({}, {}, {})", at.x, at.y, at.z);
}

namespace {

// Thrown to unwind a waiting thread of a block that has failed.
struct Abandoned {};

bool same(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

// The state of a collective of one warp or block.
struct Rendezvous {
  std::uint32_t size = 0, arrived = 0;
  std::uint64_t completed = 0;
  Site site;
  std::vector<void*> values;  // variables of the lanes, which stay while they wait

  void reset(std::uint32_t lanes) {
    size = lanes;
    arrived = 0;
    completed = 0;
    values.resize(lanes);
  }
};

// Tiles in shared memory may rely on this alignment.
struct SharedMemory {
  static constexpr std::align_val_t kAlignment{1024};
  void operator()(std::byte* memory) const { ::operator delete(memory, kAlignment); }
  static std::unique_ptr<std::byte, SharedMemory> allocate(std::size_t bytes) {
    return std::unique_ptr<std::byte, SharedMemory>(
        static_cast<std::byte*>(::operator new(bytes, kAlignment)));
  }
};

struct Thread {
  ThreadContext lane;
  Rendezvous* waits_for = nullptr;
  std::uint64_t seen = 0;  // waits_for->completed when the wait began
  Site site;
  bool done = false;
};

class Executor {
 public:
  ~Executor() {
    closing_ = true;
    for (auto& fiber : fibers_) fiber->resume();
  }

  void run(const Kernel& kernel, void (*body)(const void*), const void* parameters, std::size_t bytes);
  void collective(Group group, Meeting meeting, void* value, Combine combine, const Site& site);
  AsyncCopies& copies() { return copies_; }
  void start_copies();
  [[noreturn]] void fail(const std::string& why) const;

  Schedule schedule;

 private:
  void run_block(const Dim3& block);
  void run_threads(Fiber& fiber);
  void group_by_warp();
  void resume_waiting();
  void enter(Thread& thread);
  void abandon_block();
  void check_copies_ended() const;
  std::string why_stuck() const;
  Fiber& idle_fiber();
  template <class Index>
  void arrange(std::vector<Index>& order, std::mt19937_64& random) const;

  Kernel kernel_{};
  void (*body_)(const void*) = nullptr;
  const void* parameters_ = nullptr;

  std::unique_ptr<std::byte, SharedMemory> shared_;
  AsyncCopies copies_;
  std::vector<Thread> threads_;
  std::vector<std::uint32_t> order_;    // of the threads of a block, and
  std::vector<std::uint32_t> by_warp_;  // the same warp by warp
  std::size_t next_ = 0;                // into order_: the first thread that has not begun
  std::uint32_t done_ = 0;
  Thread* current_ = nullptr;
  Rendezvous block_;
  std::vector<Rendezvous> warps_;
  AccessRecorder recorder_;
  std::exception_ptr error_;

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  bool closing_ = false;
};

Executor& executor() {
  thread_local Executor instance;
  return instance;
}

void Executor::fail(const std::string& why) const {
  const std::string where = current_ ? fmt::format(", thread {} of block {}", text(current_->lane.thread),
                                                   text(current_->lane.block))
                                     : "";
  throw Error(fmt::format("kernel {}{}: {}", kernel_.name, where, why));
}

template <class Index>
void Executor::arrange(std::vector<Index>& order, std::mt19937_64& random) const {
  std::iota(order.begin(), order.end(), Index{0});
  if (schedule.order == Schedule::Order::kReversed) std::reverse(order.begin(), order.end());
  if (schedule.order == Schedule::Order::kShuffled) std::shuffle(order.begin(), order.end(), random);
}

void Executor::run(const Kernel& kernel, void (*body)(const void*), const void* parameters,
                   std::size_t bytes) {
  check(current_ == nullptr, "kernel {}: launched from a thread of kernel {}", kernel.name, kernel_.name);
  kernel_ = kernel;
  body_ = body;
  parameters_ = parameters;
  const std::uint32_t threads = kernel.block.x * kernel.block.y * kernel.block.z;
  shared_ = SharedMemory::allocate(kernel.shared_bytes);  // the exact size: ASan guards its end
  threads_.resize(threads);
  order_.resize(threads);
  warps_.resize(threads / kWarpSize);
  if (kernel.counters) recorder_.begin(kernel, parameters, bytes);

  std::mt19937_64 random(schedule.seed);
  std::vector<std::uint64_t> blocks(std::uint64_t{kernel.grid.x} * kernel.grid.y * kernel.grid.z);
  arrange(blocks, random);
  for (const std::uint64_t b : blocks) {
    arrange(order_, random);
    group_by_warp();
    const std::uint64_t row = b / kernel.grid.x;
    run_block({static_cast<std::uint32_t>(b % kernel.grid.x), static_cast<std::uint32_t>(row % kernel.grid.y),
               static_cast<std::uint32_t>(row / kernel.grid.y)});
  }
}

void Executor::run_block(const Dim3& block) {
  std::memset(shared_.get(), 0xFF, kernel_.shared_bytes);
  const std::uint32_t count = static_cast<std::uint32_t>(threads_.size());
  block_.reset(count);
  for (Rendezvous& warp : warps_) warp.reset(kWarpSize);
  for (std::uint32_t rank = 0; rank < count; ++rank) {
    const std::uint32_t row = rank / kernel_.block.x;
    Thread& thread = threads_[rank];
    thread = {};
    thread.lane = {.thread = {rank % kernel_.block.x, row % kernel_.block.y, row / kernel_.block.y},
                   .block = block,
                   .block_dim = kernel_.block,
                   .grid_dim = kernel_.grid,
                   .rank = rank,
                   .shared = shared_.get(),
                   .shared_bytes = kernel_.shared_bytes,
                   .recorder = kernel_.counters ? &recorder_ : nullptr};
  }
  next_ = 0;
  done_ = 0;
  while (next_ < count && !error_) idle_fiber().resume();
  while (done_ < count && !error_) resume_waiting();
  if (error_) abandon_block();
  current_ = nullptr;
  current_thread = nullptr;
  copies_in_use = false;
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  if (kernel_.counters) recorder_.end_block();
}

void Executor::enter(Thread& thread) {
  current_ = &thread;
  current_thread = &thread.lane;
}

// Runs on a fiber: starts threads one after the other until all have started. While a thread waits, it keeps
// the fiber.
void Executor::run_threads(Fiber& fiber) {
  while (next_ < order_.size() && !error_) {
    Thread& thread = threads_[order_[next_++]];
    thread.lane.fiber = &fiber;
    enter(thread);
    try {
      body_(parameters_);
      if (copies_in_use) check_copies_ended();
    } catch (const Abandoned&) {
    } catch (...) {
      if (!error_) error_ = std::current_exception();
    }
    thread.done = true;
    ++done_;
  }
  idle_.push_back(&fiber);
}

Fiber& Executor::idle_fiber() {
  if (idle_.empty()) {
    auto slot = std::make_shared<Fiber*>(nullptr);
    fibers_.push_back(std::make_unique<Fiber>([this, slot] {
      while (!closing_) {
        run_threads(**slot);
        (*slot)->suspend();
      }
    }));
    *slot = fibers_.back().get();
    idle_.push_back(*slot);
  }
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return *fiber;
}

void Executor::group_by_warp() {
  constexpr std::size_t kNone = -1;
  std::vector<std::size_t> next(warps_.size(), kNone);
  std::size_t used = 0;
  by_warp_.resize(order_.size());
  for (const std::uint32_t rank : order_) {
    std::size_t& at = next[rank / kWarpSize];
    if (at == kNone) at = std::exchange(used, used + kWarpSize);
    by_warp_[at++] = rank;
  }
}

// Each warp goes on alone until it waits for the block or has ended. So it is as far ahead of the next one as
// barriers of the block allow, and what a missing one would let it overwrite is not yet read.
void Executor::resume_waiting() {
  bool moved = false;
  for (std::size_t first = 0; first < by_warp_.size(); first += kWarpSize) {
    for (bool again = true; std::exchange(again, false);) {
      for (std::size_t i = first; i < first + kWarpSize; ++i) {
        Thread& thread = threads_[by_warp_[i]];
        if (!thread.waits_for || thread.waits_for->completed == thread.seen) continue;
        moved = again = true;
        enter(thread);
        thread.lane.fiber->resume();
        if (error_) return;
      }
    }
  }
  if (!moved) {
    try {
      current_ = nullptr;
      fail(why_stuck());
    } catch (...) {
      error_ = std::current_exception();
    }
  }
}

void Executor::abandon_block() {
  for (Thread& thread : threads_) {
    if (!thread.waits_for || thread.done) continue;
    current_ = &thread;
    thread.lane.fiber->resume();
  }
}

std::string Executor::why_stuck() const {
  const auto waiting =
      std::find_if(threads_.begin(), threads_.end(), [](const Thread& t) { return t.waits_for != nullptr; });
  const bool in_block = waiting->waits_for == &block_;
  const std::uint32_t first = in_block ? 0 : waiting->lane.rank / kWarpSize * kWarpSize;
  const std::string head =
      fmt::format("thread {} of block {} waits for its {} at {}", text(waiting->lane.thread),
                  text(waiting->lane.block), in_block ? "block" : "warp", text(waiting->site));
  for (std::uint32_t i = 0; i < waiting->waits_for->size; ++i) {
    const Thread& other = threads_[first + i];
    if (other.done)
      return fmt::format("{}, but thread {} has left the kernel", head, text(other.lane.thread));
    if (other.waits_for != waiting->waits_for)
      return fmt::format("{}, but thread {} waits at {}", head, text(other.lane.thread), text(other.site));
  }
  return head + " forever";
}

void Executor::collective(Group group, Meeting meeting, void* value, Combine combine, const Site& site) {
  Thread& self = *current_;
  Rendezvous& rendezvous = group == Group::kBlock ? block_ : warps_[self.lane.rank / kWarpSize];
  if (rendezvous.arrived == 0)
    rendezvous.site = site;
  else if (!same(rendezvous.site, site))
    fail(fmt::format("waits at {}, but other lanes of its {} wait at {}", text(site),
                     group == Group::kBlock ? "block" : "warp", text(rendezvous.site)));
  rendezvous.values[group == Group::kBlock ? self.lane.rank : self.lane.rank % kWarpSize] = value;
  if (++rendezvous.arrived == rendezvous.size) {
    if (combine) {
      current_thread = nullptr;  // what it reads is not what a thread of the kernel reads
      combine(rendezvous.values.data(), rendezvous.size);
      current_thread = &self.lane;
    }
    if (self.lane.recorder) self.lane.recorder->met(group, self.lane.rank / kWarpSize, meeting);
    if (copies_in_use && group == Group::kBlock) copies_.barrier();
    rendezvous.arrived = 0;
    ++rendezvous.completed;
  } else {
    self.waits_for = &rendezvous;
    self.seen = rendezvous.completed;
    self.site = site;
    self.lane.fiber->suspend();
    self.waits_for = nullptr;
    if (error_) throw Abandoned{};
  }
}

// The first copy of a block.
void Executor::start_copies() {
  if (std::exchange(copies_in_use, true)) return;
  copies_.begin_block(static_cast<std::uint32_t>(threads_.size()), shared_.get(), kernel_.shared_bytes);
}

void Executor::check_copies_ended() const {
  if (const Site* site = copies_.unfinished(current_->lane.rank))
    fail(fmt::format("ends without having waited for its copy at {}; commit it and wait", text(*site)));
}

// Whether the 16 bytes are in the block's shared memory.
bool in_shared_memory(const void* at) {
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  const auto first = reinterpret_cast<std::uintptr_t>(current_thread->shared);
  return address >= first && address + AsyncCopies::kBytes <= first + current_thread->shared_bytes;
}

void check_objection(const void* at, bool by_warp, const Site& site) {
  const std::string why =
      executor().copies().objection(current_thread->rank, static_cast<const std::byte*>(at), by_warp);
  if (!why.empty()) fail(fmt::format("the access at {} is to {}", text(site), why));
}

}  // namespace

void execute(const Kernel& kernel, void (*body)(const void*), const void* parameters, std::size_t bytes) {
  executor().run(kernel, body, parameters, bytes);
}

void collective(Group group, Meeting meeting, void* value, Combine combine, const Site& site) {
  executor().collective(group, meeting, value, combine, site);
}

void* shared_memory(std::size_t offset, std::size_t bytes, std::size_t alignment) {
  const ThreadContext& lane = *current_thread;
  if (offset % alignment != 0)
    executor().fail(fmt::format("shared memory at byte {} is not aligned to {}", offset, alignment));
  if (offset + bytes > lane.shared_bytes)
    executor().fail(fmt::format("uses shared memory up to byte {}, but was launched with {}", offset + bytes,
                                lane.shared_bytes));
  return lane.shared + offset;
}

void fail(const std::string& why) {
  executor().fail(why);
}

void fail_misaligned(const void* address, const Site& site) {
  fail(fmt::format("the 16-byte access at {} uses address {}, which is not a multiple of 16", text(site),
                   address));
}

void begin_copy16(void* to_shared, const void* from, const Site& site) {
  for (const void* each : {static_cast<const void*>(to_shared), from})
    if (reinterpret_cast<std::uintptr_t>(each) % AsyncCopies::kBytes != 0) fail_misaligned(each, site);
  if (!in_shared_memory(to_shared))
    fail(fmt::format("the copy at {} is not to shared memory of the block", text(site)));
  executor().start_copies();
  check_objection(to_shared, false, site);
  if (AccessRecorder* recorder = current_thread->recorder) {
    recorder->access(__builtin_return_address(0), from, AsyncCopies::kBytes, AccessKind::kLoad);
    recorder->access(__builtin_return_address(0), to_shared, AsyncCopies::kBytes, AccessKind::kStore);
  }
  executor().copies().begin(current_thread->rank, static_cast<std::byte*>(to_shared), from, site);
}

void commit_copies() {
  executor().start_copies();
  executor().copies().commit(current_thread->rank);
}

void wait_for_copies(std::size_t pending) {
  if (copies_in_use) executor().copies().wait(current_thread->rank, pending);
}

void check_no_copy(const void* at, const Site& site) {
  if (in_shared_memory(at)) check_objection(at, false, site);
}

void check_shared_by_warp(const void* at, const Site& site) {
  if (reinterpret_cast<std::uintptr_t>(at) % AsyncCopies::kBytes != 0) fail_misaligned(at, site);
  if (!in_shared_memory(at))
    fail(fmt::format("the matrix load at {} is not from shared memory of the block", text(site)));
  if (copies_in_use) check_objection(at, true, site);
}

ScheduleScope::ScheduleScope(Schedule schedule) : former_(std::exchange(executor().schedule, schedule)) {}
ScheduleScope::~ScheduleScope() {
  executor().schedule = former_;
}

}  // namespace tdds::simt
