#include "kernels/simt/async_copies.h"

#include <fmt/format.h>

#include <cstring>

namespace tdds::simt {

constinit thread_local bool copies_in_use = false;

void AsyncCopies::begin_block(std::uint32_t threads, std::byte* shared, std::size_t shared_bytes) {
  shared_ = shared;
  marks_.assign((shared_bytes + kBytes - 1) / kBytes, {});
  landed_.clear();
  threads_.resize(threads);
  for (ThreadCopies& thread : threads_) {
    thread.copies.clear();
    thread.group_ends.clear();
  }
}

void AsyncCopies::begin(std::uint32_t thread, std::byte* to, const void* from, const Site& site) {
  const std::size_t mark = static_cast<std::size_t>(to - shared_) / kBytes;
  marks_[mark] = {site, thread, State::kPending};
  std::memset(to, 0xFF, kBytes);
  threads_[thread].copies.push_back({mark, from});
}

void AsyncCopies::commit(std::uint32_t thread) {
  threads_[thread].group_ends.push_back(threads_[thread].copies.size());
}

void AsyncCopies::wait(std::uint32_t thread, std::size_t pending) {
  ThreadCopies& own = threads_[thread];
  if (own.group_ends.size() <= pending) return;
  const std::size_t groups = own.group_ends.size() - pending, count = own.group_ends[groups - 1];
  for (std::size_t i = 0; i < count; ++i) {
    const Copy& copy = own.copies[i];
    std::memcpy(shared_ + copy.mark * kBytes, copy.from, kBytes);
    marks_[copy.mark].state = State::kLanded;
    landed_.push_back(copy.mark);
  }
  own.copies.erase(own.copies.begin(), own.copies.begin() + static_cast<std::ptrdiff_t>(count));
  own.group_ends.erase(own.group_ends.begin(), own.group_ends.begin() + static_cast<std::ptrdiff_t>(groups));
  for (std::size_t& end : own.group_ends) end -= count;
}

void AsyncCopies::barrier() {
  for (const std::size_t mark : landed_)
    if (marks_[mark].state == State::kLanded) marks_[mark].state = State::kNone;  // it may be copied to again
  landed_.clear();
}

std::string AsyncCopies::objection(std::uint32_t thread, const std::byte* at, bool by_warp) const {
  const auto offset = static_cast<std::size_t>(at - shared_);
  const Mark& mark = marks_[offset / kBytes];
  if (mark.state == State::kPending)
    return fmt::format("byte {} of shared memory, to which thread {} copies since {}: it has not waited",
                       offset, mark.thread, text(mark.site));
  if (mark.state == State::kLanded && (by_warp || mark.thread != thread))
    return fmt::format(
        "byte {} of shared memory, to which thread {} has copied at {}: only this thread may touch it before "
        "the next barrier of the block",
        offset, mark.thread, text(mark.site));
  return "";
}

const Site* AsyncCopies::unfinished(std::uint32_t thread) const {
  const auto& copies = threads_[thread].copies;
  return copies.empty() ? nullptr : &marks_[copies.front().mark].site;
}

}  // namespace tdds::simt
