#include "engine/io/plan_cache.h"

#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>

#include "engine/io/file_lock.h"
#include "engine/io/files.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::uint64_t kLargest = std::uint64_t{1} << 26;

PlanCache::Text read_cache(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return read_file(path, kLargest);
}

void update_cache(const std::string& path, const std::function<std::string(const PlanCache::Text&)>& merged) {
  std::error_code ignored;  // the lock reports a folder that is missing
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  FileLock lock(path + ".lock");
  for (int tries = 0; !lock.held() && tries < 500; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    lock.try_again();
  }
  check(lock.held(), "{} is writing it", lock.holder());
  write_file_atomically(path, merged(read_cache(path)));
}

}  // namespace

PlanCache plan_cache_file(const std::string& path) {
  if (path.empty()) return {};
  return {.name = path,
          .read = [path] { return read_cache(path); },
          .update = [path](const auto& merged) { update_cache(path, merged); }};
}

}  // namespace tdds
