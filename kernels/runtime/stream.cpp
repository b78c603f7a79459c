#include "kernels/runtime/stream.h"

#include <exception>

#include "kernels/runtime/check.h"

namespace tdds {

Stream::Upload Stream::upload_ahead(void* device_memory, void* /*staging*/, const void* host,
                                    std::size_t bytes) {
  upload(device_memory, host, bytes);
  return kNoUpload + 1;
}

void Stream::wait_for(Upload upload) {
  if (upload != kNoUpload) synchronize();
}

Stream::Fork Stream::fork(const std::function<void()>& body) {
  check_outside_fork("Stream::fork");
  fork_begins(++forks_);
  in_fork_ = true;
  std::exception_ptr failure;
  try {
    body();
  } catch (...) {
    failure = std::current_exception();
  }
  in_fork_ = false;
  try {
    fork_ends(forks_);
  } catch (...) {
    if (!failure) throw;  // the body's error names its command
  }
  if (failure) std::rethrow_exception(failure);
  return forks_;
}

void Stream::join(Fork fork) {
  check_outside_fork("Stream::join");
  check(fork <= forks_, "Stream::join: there is no fork {}, only {} so far", fork, forks_);
  if (fork <= joined_) return;
  joins(fork);
  joined_ = fork;
}

void Stream::check_outside_fork(const char* call) const {
  check(!in_fork_, "{}: not allowed in the body of a fork", call);
}

void Stream::check_joined(const char* call) const {
  check_outside_fork(call);
  check(joined(), "{}: fork {} has not been joined; call join() first", call, forks_);
}

}  // namespace tdds
