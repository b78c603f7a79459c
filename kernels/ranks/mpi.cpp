// Ranks by MPI. Only C functions, which Open MPI and MPICH share.

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string_view>
#include <thread>

#include "kernels/ranks/ranks.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

bool is_running() {
  int begun = 0, ended = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&ended);
  return begun && !ended;
}

int count_of(std::size_t bytes) {
  check(bytes <= static_cast<std::size_t>(std::numeric_limits<int>::max()),
        "Ranks: {} bytes in one exchange; MPI takes at most 2^31 - 1", bytes);
  return static_cast<int>(bytes);
}

RankPlace place_of_this() {
  RankPlace place;
  MPI_Comm_rank(MPI_COMM_WORLD, &place.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &place.size);
  MPI_Comm machine = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, place.rank, MPI_INFO_NULL, &machine);
  MPI_Comm_rank(machine, &place.on_machine);
  MPI_Comm_size(machine, &place.machine_size);
  place.machine = place.rank;
  MPI_Bcast(&place.machine, 1, MPI_INT, 0, machine);
  MPI_Comm_free(&machine);
  return place;
}

class MpiRanks final : public Ranks {
 public:
  MpiRanks() : Ranks(place_of_this()) {}
  void leave() override { MPI_Finalize(); }

  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    const int count = count_of(bytes);
    // MPI has another way to say that what is sent is part of the result.
    if (mine == static_cast<const char*>(all) + static_cast<std::size_t>(rank()) * bytes) mine = MPI_IN_PLACE;
    MPI_Iallgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, MPI_COMM_WORLD, &request_);
    wait();
  }
  void all_to_all(const void* parts, void* received, std::size_t bytes) override {
    const int count = count_of(bytes);
    MPI_Ialltoall(parts, count, MPI_BYTE, received, count, MPI_BYTE, MPI_COMM_WORLD, &request_);
    wait();
  }
  void broadcast(void* data, std::size_t bytes) override {
    MPI_Ibcast(data, count_of(bytes), MPI_BYTE, 0, MPI_COMM_WORLD, &request_);
    wait();
  }

 private:
  // MPI waits by spinning, which takes cores from the ranks that it waits for when they share them.
  void wait() {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::microseconds kSpin{100}, kSleep{20};
    const Clock::time_point start = Clock::now();
    for (int done = 0;;) {
      MPI_Test(&request_, &done, MPI_STATUS_IGNORE);
      if (done) return;
      if (Clock::now() - start < kSpin)
        sched_yield();
      else
        std::this_thread::sleep_for(kSleep);
    }
  }

  MPI_Request request_ = MPI_REQUEST_NULL;  // of the exchange that is under way
};

}  // namespace

std::unique_ptr<Ranks> join_ranks() {
  const std::optional<Launched> launched = launched_rank();
  if (!launched) return nullptr;
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) == MPI_SUCCESS,
        "MPI could not be started");
  auto ranks = std::make_unique<MpiRanks>();
  check(ranks->size() == launched->size,
        "{} started {} processes, but {} sees {}; use the {} that belongs to it{}", launched->launcher,
        launched->size, mpi_version(), ranks->size(), launched->launcher,
        launched->launcher == "srun" ? ", or another of its MPI plugins, such as pmix" : "");
  return ranks;
}

void end_all_ranks(int exit_code) {
  if (is_running()) MPI_Abort(MPI_COMM_WORLD, exit_code);
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string version(text, static_cast<std::size_t>(length));
  version.resize(std::min(version.find_first_of(",\n"), version.size()));
  constexpr std::string_view kWord = "Version:\t";  // MPICH's
  if (const std::size_t at = version.find(kWord); at != std::string::npos) version.erase(at, kWord.size());
  return version;
}

}  // namespace tdds
