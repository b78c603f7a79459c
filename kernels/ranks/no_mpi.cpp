// A build without MPI has one process.

#include "kernels/ranks/ranks.h"
#include "kernels/runtime/check.h"

namespace tdds {

std::unique_ptr<Ranks> join_ranks() {
  const std::optional<Launched> launched = launched_rank();
  check(!launched.has_value(),
        "{} started {} processes, but this build has no MPI, so it trains in one process; install "
        "libopenmpi-dev (Debian) and build again, or start one process",
        launched ? launched->launcher : "", launched ? launched->size : 0);
  return nullptr;
}

void end_all_ranks(int /*exit_code*/) {}

std::string mpi_version() {
  return "no MPI";
}

}  // namespace tdds
