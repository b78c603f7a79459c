#include "kernels/ranks/ranks.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string line_or_nothing(const std::vector<std::string>& lines, std::size_t i) {
  return i < lines.size() ? lines[i] : "nothing";
}

}  // namespace

void Ranks::wait_for_all() {
  any(false);
}

bool Ranks::any(bool mine) {
  const char flag = mine ? 1 : 0;
  std::string all(static_cast<std::size_t>(size()), '\0');
  all_gather(&flag, all.data(), 1);
  return all.find(1) != std::string::npos;
}

std::string Ranks::broadcast(const std::string& text) {
  std::uint64_t length = text.size();
  broadcast(&length, sizeof(length));
  std::string copy = text;
  copy.resize(length);
  broadcast(copy.data(), length);
  return copy;
}

std::vector<std::string> Ranks::gather(const std::string& mine) {
  const std::uint64_t length = mine.size();
  std::vector<std::uint64_t> lengths(static_cast<std::size_t>(size()));
  all_gather(&length, lengths.data(), sizeof(length));
  const std::uint64_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::string padded = mine, all(longest * lengths.size(), '\0');
  padded.resize(longest);
  all_gather(padded.data(), all.data(), longest);
  std::vector<std::string> texts;
  texts.reserve(lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) texts.push_back(all.substr(i * longest, lengths[i]));
  return texts;
}

void Ranks::check_equal(const std::string& lines) {
  const std::vector<std::string> all = gather(lines);
  const std::vector<std::string> first = lines_of(all[0]);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    const std::vector<std::string> other = lines_of(all[rank]);
    std::size_t i = 0;
    while (i < first.size() && i < other.size() && first[i] == other[i]) ++i;
    throw Error(fmt::format(
        "rank 0 has '{}' and rank {} has '{}', but all ranks must have the same program, device, data and "
        "flags; for independent runs, start them without mpirun or srun",
        line_or_nothing(first, i), rank, line_or_nothing(other, i)));
  }
}

int Ranks::share_of_cores() {
  struct Cores {
    int machine;
    cpu_set_t set;
  } mine{};
  mine.machine = place_.machine;
  check(sched_getaffinity(0, sizeof(mine.set), &mine.set) == 0, "the cores of this process are unknown: {}",
        std::strerror(errno));
  std::vector<Cores> all(static_cast<std::size_t>(size()));
  all_gather(&mine, all.data(), sizeof(mine));
  double share = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &mine.set)) continue;
    const auto users = std::count_if(all.begin(), all.end(), [&](const Cores& one) {
      return one.machine == mine.machine && CPU_ISSET(core, &one.set);
    });
    share += 1.0 / static_cast<double>(users);
  }
  return std::max(1, static_cast<int>(share + 1e-6));
}

std::optional<Launched> launched_rank() {
  struct Names {
    const char *rank, *size, *launcher;
  };
  // Open MPI; MPICH and what follows its PMI, also srun --mpi=pmi2; srun.
  constexpr Names kNames[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpirun"},
                              {"PMI_RANK", "PMI_SIZE", "mpirun"},
                              {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "srun"}};
  for (const Names& names : kNames) {
    const char *rank = std::getenv(names.rank), *size = std::getenv(names.size);
    if (!rank || !size) continue;
    const Launched launched{.rank = std::atoi(rank), .size = std::atoi(size), .launcher = names.launcher};
    if (launched.size > 1 && launched.rank >= 0 && launched.rank < launched.size) return launched;
  }
  return std::nullopt;
}

}  // namespace tdds
