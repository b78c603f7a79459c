#include "engine/io/plan_cache.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include "engine/io/file_lock.h"
#include "engine/io/files.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::uint64_t kLargest = std::uint64_t{1} << 26;

void write_cache(const std::string& path, const std::string& text) {
  FileLock lock(path + ".lock");
  for (int tries = 0; !lock.held() && tries < 100; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    lock.try_again();
  }
  check(lock.held(), "{} is writing it", lock.holder());
  write_file_atomically(path, text);
}

}  // namespace

PlanCache plan_cache_file(const std::string& path) {
  if (path.empty()) return {};
  return {.name = path,
          .read = [path]() -> std::optional<std::string> {
            if (!std::filesystem::exists(path)) return std::nullopt;
            return read_file(path, kLargest);
          },
          .keep = [path](const std::string& text) { write_cache(path, text); }};
}

}  // namespace tdds
