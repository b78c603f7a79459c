#pragma once
// Programs that run as several ranks of MPI.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "kernels/ranks/ranks.h"
#include "tests/apps/program.h"

namespace tdds::test {

// Ranks are started as root and on fewer cores than ranks.
inline void allow_any_ranks() {
  for (const char* name :
       {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"})
    setenv(name, "1", 1);
  setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 1);
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 1);  // which a container may forbid
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);                    // of MPI itself
}

// The tests of a fixture, where there is an MPI.
template <class Fixture>
class OnRanks : public Fixture {
 protected:
  void SetUp() override {
    if (mpi_version() == "no MPI") GTEST_SKIP() << "this build has no MPI";
    if (std::system("command -v mpirun >/dev/null") != 0) GTEST_SKIP() << "there is no mpirun";
    allow_any_ranks();
  }
};

// The processes of this machine whose command line has `text` and that are ranks, by rank.
inline std::vector<std::pair<int, pid_t>> ranks_with(const std::string& text) {
  std::vector<std::pair<int, pid_t>> found;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string folder = entry.path();
    if (read_text(folder + "/cmdline").find(text) == std::string::npos) continue;
    const std::string environment = read_text(folder + "/environ");
    for (const char* variable : {"OMPI_COMM_WORLD_RANK=", "PMI_RANK="}) {
      const std::size_t at = environment.find(variable);
      if (at == std::string::npos) continue;
      found.emplace_back(std::atoi(environment.c_str() + at + std::string(variable).size()), std::stoi(name));
      break;
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Whether no process has `text` in its command line, after at most a few seconds.
inline bool all_ended(const std::string& text) {
  for (int tries = 0; tries < 500; ++tries) {
    if (ranks_with(text).empty()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

}  // namespace tdds::test
