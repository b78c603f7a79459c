// Preloaded into a program: a library that takes signals for itself while it is loaded, as UCX takes SIGHUP.

#include <csignal>

namespace {

[[gnu::constructor]] void take_signals() {
  std::signal(SIGHUP, [](int) {});
  std::signal(SIGINT, [](int) {});
}

}  // namespace
