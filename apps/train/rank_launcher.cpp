#include "apps/train/rank_launcher.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "apps/cli/interrupt.h"
#include "engine/io/files.h"
#include "kernels/ranks/ranks.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr int kNotStarted = 127;  // as of a shell

// Asks the launcher not to count slots, because ranks on a CPU may share cores, and not to bind a rank to
// one core, because each also reads images and runs NCCL's threads. Open MPI 4 and 5 have other names for
// it; MPICH does neither.
void prepare_launcher() {
  const std::pair<const char*, const char*> settings[] = {
      {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
      {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
      {"OMPI_MCA_hwloc_base_binding_policy", "none"},
      {"PRTE_MCA_hwloc_default_binding_policy", "none"}};
  for (const auto& [name, value] : settings) setenv(name, value, 0);
  if (geteuid() != 0) return;
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
}

std::vector<std::string> command_of(int ranks) {
  std::vector<std::string> command{"mpirun", "-n", std::to_string(ranks),
                                   std::filesystem::read_symlink("/proc/self/exe").string()};
  const std::string text = read_file("/proc/self/cmdline", std::uint64_t{1} << 24);
  for (std::size_t begin = text.find('\0') + 1; begin < text.size();) {
    const std::size_t end = text.find('\0', begin);
    command.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return command;
}

// In the child: a process group of its own, so that Ctrl-C reaches this program alone, and no input, which a
// background group may not read. It ends with its parent.
[[noreturn]] void become(std::vector<std::string> command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (const int nothing = open("/dev/null", O_RDONLY); nothing >= 0) dup2(nothing, STDIN_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(kNotStarted);
}

int wait_for(pid_t launcher, const InterruptRequest& interrupt) {
  int status = 0;
  for (bool passed_on = false; waitpid(launcher, &status, WNOHANG) == 0;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (!interrupt.requested() || passed_on) continue;
    kill(launcher, SIGUSR1);
    passed_on = true;
  }
  return status;
}

}  // namespace

int launch_ranks(int ranks) {
  check(
      mpi_version() != "no MPI",
      "--ngpu {} needs MPI, which this build does not have; install libopenmpi-dev (Debian) and build again, "
      "or give --ngpu 1",
      ranks);
  prepare_launcher();
  const std::vector<std::string> command = command_of(ranks);
  std::fflush(nullptr);
  const InterruptRequest interrupt;
  const pid_t launcher = fork();
  check(launcher >= 0, "--ngpu {}: no process can be started", ranks);
  if (launcher == 0) become(command);
  const int status = wait_for(launcher, interrupt);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  check(code != kNotStarted, "--ngpu {} needs mpirun, which cannot be started; install openmpi-bin (Debian)",
        ranks);
  // mpirun has another signal to report, and MPICH's sometimes reports 0.
  const bool failed = code == 1 || code == 2;
  return interrupt.requested() && !failed ? interrupt.exit_code() : code;
}

}  // namespace tdds
