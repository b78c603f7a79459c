#pragma once
// Loops over files and samples that can be stopped.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>

namespace tdds {

// Calls work(i) once for each i in 0 .. count - 1, on all cores. The calling thread, and no other, calls
// between(n) at the start and before each of its own files; n is the number of finished files. If either
// throws, no further file is begun, and the first exception is rethrown.
template <class Work>
void for_each_file(std::size_t count, const std::function<void(std::size_t)>& between, const Work& work) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<std::size_t> done{0};
  std::atomic<bool> stopped{false};
  std::exception_ptr failure;
  // The other threads may finish all files before this one gets any.
  if (between && count > 0) between(0);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < count; ++i) {
    if (stopped) continue;
    try {
      if (between && std::this_thread::get_id() == caller) between(done);
      work(i);
      ++done;
    } catch (...) {
#pragma omp critical(for_each_file_failure)
      if (!failure) failure = std::current_exception();
      stopped = true;
    }
  }
  if (failure) std::rethrow_exception(failure);
}

// The same over samples, body(i) for 0 <= i < count, for callers that need no count: poll() may throw to end
// the loop, and may be empty.
template <class Body>
void polled_loop(std::int64_t count, const std::function<void()>& poll, const Body& body) {
  std::function<void(std::size_t)> between;
  if (poll) between = [&](std::size_t) { poll(); };
  for_each_file(static_cast<std::size_t>(count), between,
                [&](std::size_t i) { body(static_cast<std::int64_t>(i)); });
}

}  // namespace tdds
