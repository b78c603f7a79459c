#include "kernels/runtime/thread_waiting.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>

namespace tdds {
namespace {

// About 50 microseconds: longer than running threads wait for each other, shorter than a time slice.
constexpr const char* kSpinCount = "1000";

}  // namespace

void wait_briefly_then_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  std::array<char, PATH_MAX> program{};  // ends in 0
  if (::readlink("/proc/self/exe", program.data(), program.size() - 1) <= 0) return;
  // The executed program finds this variable set and returns above.
  if (setenv("GOMP_SPINCOUNT", kSpinCount, 0) != 0) return;
  ::execv(program.data(), argv);
}

}  // namespace tdds
