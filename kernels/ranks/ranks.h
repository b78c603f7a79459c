#pragma once
// The processes of a data-parallel training: ranks, as MPI calls them. mpirun or srun starts them, and
// each runs the same program.
//
// Every function that exchanges something is collective: each rank calls it, all in the same order, with
// equal sizes, and each waits for the others. A waiting rank sleeps, so that ranks may share cores. If a
// rank is lost, the launcher ends the others.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tdds {

// Where a rank is among the others.
struct RankPlace {
  int rank = 0, size = 1;
  int on_machine = 0, machine_size = 1;  // the same among the ranks of its machine
  int machine = 0;                       // the lowest rank of its machine
};

class Ranks {
 public:
  explicit Ranks(const RankPlace& place) : place_(place) {}
  virtual ~Ranks() = default;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  const RankPlace& place() const { return place_; }
  int rank() const { return place_.rank; }
  int size() const { return place_.size; }
  bool first() const { return place_.rank == 0; }

  // all[r] = mine of rank r; `all` has size() * bytes, and `mine` may be this rank's part of it.
  virtual void all_gather(const void* mine, void* all, std::size_t bytes) = 0;
  // received[s] = the part of rank s for this rank: parts[rank()] of rank s. Both have size() * bytes and do
  // not overlap.
  virtual void all_to_all(const void* parts, void* received, std::size_t bytes) = 0;
  // Everywhere what it is on rank 0.
  virtual void broadcast(void* data, std::size_t bytes) = 0;

  // Ends the exchange. Every rank calls it when its work is done, or when all have agreed to end it. A rank
  // that fails does not: it ends the others (end_all_ranks).
  virtual void leave() = 0;
  // Waits until all ranks call it, so that what rank 0 saved before is complete.
  void agree_to_end() {
    wait_for_all();
    agreed_ = true;
  }
  bool agreed_to_end() const { return agreed_; }

  void wait_for_all();
  // Runs `work` on one rank of each machine first, then on the others of the machine.
  template <class Work>
  auto one_by_machine_first(const Work& work) {
    if (place_.on_machine > 0) wait_for_all();
    auto result = work();
    if (place_.on_machine == 0) wait_for_all();
    return result;
  }
  bool any(bool mine);  // whether it is true on some rank
  std::string broadcast(const std::string& text);
  std::vector<std::string> gather(const std::string& mine);  // by rank
  // Throws Error on every rank where a rank has another text than rank 0. Both are lists of lines
  // "name: value"; the sentence names the first that differs.
  void check_equal(const std::string& lines);
  // How many of the machine's cores this rank may use: its share of those that its launcher allows it, at
  // least 1.
  int share_of_cores();

 private:
  const RankPlace place_;
  bool agreed_ = false;
};

// What the launcher says of this process: its rank, and how many there are.
struct Launched {
  int rank = 0, size = 1;
  std::string launcher = {};  // "mpirun" or "srun"
};
// Nothing where no launcher has started it, or it is the only one.
std::optional<Launched> launched_rank();

// Meets the other ranks; null where this is the only process. Throws Error in a build without MPI, and where
// the launcher does not fit the MPI of the build. Call it once.
std::unique_ptr<Ranks> join_ranks();

// Ends all ranks at once if this is one, and returns otherwise: for errors.
void end_all_ranks(int exit_code);

// The MPI of the build, for --version: "Open MPI v4.1.4", or "no MPI".
std::string mpi_version();

}  // namespace tdds
