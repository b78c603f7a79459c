#pragma once
// Runs the real programs, as a user would, and returns what they print.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace tdds::test {

struct Outcome {
  int exit_code = 0;  // 128 + signal if one ended it
  std::string out, err;
};

struct Limits {
  long file_bytes = -1;    // RLIMIT_FSIZE: a full disk
  int kill_after_ms = -1;  // SIGKILL after this time
  // Sends SIGKILL or `interrupt` while the condition holds. It is checked every millisecond, and once more
  // while the program is stopped.
  std::function<bool()> kill_when = {}, interrupt_when = {};
  int interrupt = SIGINT;
  const char* out = nullptr;  // file for the standard output, in place of Outcome::out; "" closes it
  int ignored = 0;            // a signal that the program is started to ignore, as by nohup
};

// Sets an environment variable for its lifetime.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value, 1);
  }
  ~ScopedVariable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// Waits for the child, and sends it the signal when the condition of `limits` holds; returns its status.
inline int signal_when(pid_t child, const Limits& limits) {
  const auto& condition = limits.kill_when ? limits.kill_when : limits.interrupt_when;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    usleep(1000);
    if (!condition()) continue;
    kill(child, SIGSTOP);
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) return status;
    const bool holds = condition();
    if (holds) kill(child, limits.kill_when ? SIGKILL : limits.interrupt);
    kill(child, SIGCONT);
    if (!holds) continue;
    waitpid(child, &status, 0);
    return status;
  }
  return status;
}

// Programs that train use a GPU by default if there is one. Tests check outputs that are the same on every
// machine, so they run on the CPU unless they name a device.
inline std::vector<std::string> on_the_cpu(const std::string& program, std::vector<std::string> args) {
  const bool trains = program == "tdds-train" || program == "tdds-train-subset" || program == "tdds-sweep";
  if (trains && std::find(args.begin(), args.end(), "--device") == args.end())
    args.insert(args.begin(), {"--device", "cpu"});
  return args;
}

// Appends `more` to `args`.
inline std::vector<std::string> with(std::vector<std::string> args, const std::vector<std::string>& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

// Runs `program` (tdds-train, ...) of this build with `args`.
inline Outcome run_tool(const std::string& program, const std::vector<std::string>& given,
                        const Limits& limits = {}) {
  const TemporaryFolder folder;
  const std::vector<std::string> args = on_the_cpu(program, given);
  const std::string out = limits.out ? limits.out : folder / "out", err = folder / "err",
                    path = program_path(program);
  std::fflush(nullptr);  // otherwise the child writes the buffered text a second time
  const pid_t child = fork();
  if (child == 0) {
    if (limits.file_bytes >= 0) {
      const rlimit limit{static_cast<rlim_t>(limits.file_bytes), static_cast<rlim_t>(limits.file_bytes)};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (limits.ignored != 0) std::signal(limits.ignored, SIG_IGN);
    if (!freopen(err.c_str(), "w", stderr)) _exit(126);
    if (out.empty() ? close(STDOUT_FILENO) != 0 : !freopen(out.c_str(), "w", stdout)) _exit(126);
    std::vector<char*> argv{const_cast<char*>(path.c_str())};
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  if (limits.kill_after_ms >= 0) {
    usleep(1000 * static_cast<unsigned>(limits.kill_after_ms));
    kill(child, SIGKILL);
  }
  int status = 0;
  if (!limits.kill_when && !limits.interrupt_when)
    waitpid(child, &status, 0);
  else
    status = signal_when(child, limits);
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .out = limits.out ? "" : read_text(out),
          .err = read_text(err)};
}

// One sentence on one line, from the program itself.
inline bool is_one_sentence(const std::string& err, const std::string& program) {
  return err.rfind(program + ": ", 0) == 0 && err.find('\n') == err.size() - 1;
}

}  // namespace tdds::test
