#include "bench/torch_peers.h"

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace tdds {
namespace {

using nlohmann::json;

std::string interpreter() {
  const char* named = std::getenv("TDDS_TORCH_PYTHON");
  return named && *named ? named : "python3";
}

}  // namespace

// The process, with a socket as its standard input and output. It ends when the socket is closed.
class TorchPeers::Python {
 public:
  explicit Python(std::vector<std::string> words) {
    int ends[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "cannot make a socket: {}",
          std::strerror(errno));
    socket_ = ends[0];
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO})
      posix_spawn_file_actions_adddup2(&actions, ends[1], standard);
    const int failed = posix_spawnp(&process_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed == 0) return;
    close(socket_);
    throw UsageError(
        fmt::format("--torch: cannot start '{}': {}; set TDDS_TORCH_PYTHON to a Python that has torch",
                    words[0], std::strerror(failed)));
  }
  ~Python() {
    close(socket_);
    while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;

  void send(const std::string& line) {
    for (std::size_t sent = 0; sent < line.size();) {
      const ssize_t now = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
      if (now < 0 && errno == EINTR) continue;
      check(now > 0, "the Python of PyTorch's ops has ended; what it said is above");
      sent += static_cast<std::size_t>(now);
    }
  }

  // A line with a JSON object.
  json receive() {
    std::size_t end = std::string::npos;
    while ((end = received_.find('\n')) == std::string::npos) {
      char buffer[4096];
      const ssize_t now = recv(socket_, buffer, sizeof(buffer), 0);
      if (now < 0 && errno == EINTR) continue;
      check(now > 0, "the Python of PyTorch's ops has ended; what it said is above");
      received_.append(buffer, static_cast<std::size_t>(now));
    }
    const std::string line = received_.substr(0, end);
    received_.erase(0, end + 1);
    json reply = json::parse(line, nullptr, /*allow_exceptions=*/false);
    check(reply.is_object(), "PyTorch's process sent '{}' instead of a JSON object", line);
    return reply;
  }

 private:
  int socket_ = -1;
  pid_t process_ = 0;
  std::string received_;  // and not yet returned
};

TorchPeers::TorchPeers(int threads, bool needs_gpu)
    : python_(std::make_unique<Python>(
          std::vector<std::string>{interpreter(), TDDS_TORCH_OPS, fmt::format("{}", threads)})) {
  const json hello = python_->receive();
  if (hello.contains("unusable"))
    throw UsageError(fmt::format("--torch: {}", hello["unusable"].get<std::string>()));
  version_ = hello.at("torch").get<std::string>();
  ops_ = hello.at("ops").get<std::set<std::string, std::less<>>>();
  check_usage(!needs_gpu || hello.at("cuda").get<bool>(),
              "--torch: PyTorch {} of '{}' cannot use the GPU; measure with --device cpu, or set "
              "TDDS_TORCH_PYTHON to a Python whose torch has CUDA",
              version_, interpreter());
}

TorchPeers::~TorchPeers() = default;

std::vector<double> TorchPeers::sample(const BenchOp& op, const Conditions& conditions,
                                       const SamplingLimits& limits) {
  const json request{{"op", op.op.work.name},
                     {"shape", op.shape},
                     {"device", to_string(conditions.device)},
                     {"precision", to_string(conditions.precision)},
                     {"batch", conditions.batch},
                     {"round", conditions.round},
                     {"flush_bytes", conditions.flush_bytes},
                     {"noise", limits.noise},
                     {"seconds", limits.seconds}};
  python_->send(request.dump() + "\n");
  const json reply = python_->receive();
  if (reply.contains("failed"))
    throw PeerFailed(fmt::format("PyTorch's op failed: {}", reply["failed"].get<std::string>()));
  return reply.at("seconds").get<std::vector<double>>();
}

}  // namespace tdds
