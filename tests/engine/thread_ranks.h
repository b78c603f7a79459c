#pragma once
// Ranks that are threads of the test, so that tests of what ranks compute need no MPI.

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/ranks/ranks.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds::test {

// What the threads share. If a rank fails, those that wait for it fail too.
class Meeting {
 public:
  explicit Meeting(int ranks) : sent(static_cast<std::size_t>(ranks)) {}

  void arrive_and_wait() {
    std::unique_lock lock(mutex_);
    const std::int64_t round = round_;
    if (++arrived_ == sent.size()) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return round_ != round || failed_; });
    check(round_ != round, "another rank failed");
  }
  void fail() {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    changed_.notify_all();
  }

  std::vector<const char*> sent;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t arrived_ = 0;
  std::int64_t round_ = 0;
  bool failed_ = false;
};

class ThreadRanks final : public Ranks {
 public:
  ThreadRanks(Meeting& meeting, int rank)
      : Ranks(place_of(rank, static_cast<int>(meeting.sent.size()))), meeting_(meeting) {}

  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    exchange(mine, [&](int rank, const char* sent) {
      char* const to = part(all, rank, bytes);
      if (to != sent) std::copy_n(sent, bytes, to);
    });
  }
  void all_to_all(const void* parts, void* received, std::size_t bytes) override {
    exchange(parts, [&](int from, const char* sent) {
      std::copy_n(sent + static_cast<std::size_t>(rank()) * bytes, bytes, part(received, from, bytes));
    });
  }
  void broadcast(void* data, std::size_t bytes) override {
    exchange(data, [&](int from, const char* sent) {
      if (from == 0 && rank() != 0) std::copy_n(sent, bytes, static_cast<char*>(data));
    });
  }
  void leave() override {}

 private:
  static RankPlace place_of(int rank, int size) {
    return {.rank = rank, .size = size, .on_machine = rank, .machine_size = size, .machine = 0};
  }
  static char* part(void* all, int rank, std::size_t bytes) {
    return static_cast<char*>(all) + static_cast<std::size_t>(rank) * bytes;
  }
  // Calls take(rank, what it sends) for every rank.
  template <class Take>
  void exchange(const void* mine, const Take& take) {
    meeting_.sent[static_cast<std::size_t>(rank())] = static_cast<const char*>(mine);
    meeting_.arrive_and_wait();
    for (int rank = 0; rank < size(); ++rank) take(rank, meeting_.sent[static_cast<std::size_t>(rank)]);
    meeting_.arrive_and_wait();
  }

  Meeting& meeting_;
};

// Runs `body` on every rank at the same time, each with one thread for its kernels, and rethrows the
// exception of the first rank that failed by itself.
inline void on_ranks(int ranks, const std::function<void(Ranks&)>& body) {
  Meeting meeting(ranks);
  std::exception_ptr failure;
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&, rank] {
        set_host_threads(1);
        try {
          ThreadRanks own(meeting, rank);
          body(own);
        } catch (...) {
          const std::lock_guard lock(mutex);
          if (!failure) failure = std::current_exception();
          meeting.fail();
        }
      });
  }
  if (failure) std::rethrow_exception(failure);
}

// What body(ranks) returns on each rank.
template <class Body>
auto results_of_ranks(int ranks, const Body& body) {
  std::vector<decltype(body(std::declval<Ranks&>()))> all(static_cast<std::size_t>(ranks));
  on_ranks(ranks, [&](Ranks& own) { all[static_cast<std::size_t>(own.rank())] = body(own); });
  return all;
}

}  // namespace tdds::test
