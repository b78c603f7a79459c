#pragma once
// The asynchronous copies of kernels/gpu/tensor_core.h in the executor. On a GPU, the bytes of a copy may
// come at any time until its thread has waited for it, and until the next barrier of the block other threads
// may not see them. Here a copy takes place at the wait, the latest possible time; until then its bytes are
// 0xFF (NaN). Each 16 bytes of shared memory are marked with the thread that copies to them, until a barrier
// of the block. The 16-byte accesses and matrix loads of the vocabulary refuse marked bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/simt/executor.h"

namespace tdds::simt {

// Whether the running block has begun a copy. Kernels that copy nothing look at nothing else.
extern constinit thread_local bool copies_in_use;

// Of the running thread. The same as copy_async16(), copy_async_commit() and copy_async_wait<pending>().
void begin_copy16(void* to_shared, const void* from, const Site& site);
void commit_copies();
void wait_for_copies(std::size_t pending);

// It is an error if the running thread may not access the 16 bytes because of a copy.
void check_no_copy(const void* at, const Site& site);
// It is an error if not every thread of the warp may read the 16 bytes of shared memory.
void check_shared_by_warp(const void* at, const Site& site);

// The copies of a block.
class AsyncCopies {
 public:
  static constexpr std::size_t kBytes = 16;  // of a copy

  // Forgets all copies and marks.
  void begin_block(std::uint32_t threads, std::byte* shared, std::size_t shared_bytes);
  // Both aligned to kBytes. `to` is in shared memory and not marked, except as copied by this thread.
  void begin(std::uint32_t thread, std::byte* to, const void* from, const Site& site);
  void commit(std::uint32_t thread);
  void wait(std::uint32_t thread, std::size_t pending);
  // All threads of the block have come to a barrier: what has landed is visible to all of them.
  void barrier();

  // Why the thread may not access the bytes; "" if it may. With `by_warp`, why the threads of a warp may not.
  std::string objection(std::uint32_t thread, const std::byte* at, bool by_warp) const;
  // The place of a copy for which the thread has not waited; null if there is none.
  const Site* unfinished(std::uint32_t thread) const;

 private:
  enum class State : std::uint8_t { kNone, kPending, kLanded };
  struct Mark {
    Site site;  // of the copy
    std::uint32_t thread = 0;
    State state = State::kNone;
  };
  struct Copy {
    std::size_t mark;  // index of the 16 bytes in shared memory
    const void* from;
  };
  struct ThreadCopies {
    std::vector<Copy> copies;             // for which the thread has not waited, in order
    std::vector<std::size_t> group_ends;  // of the groups among them: the number of copies up to their last
  };

  std::byte* shared_ = nullptr;
  std::vector<Mark> marks_;  // one for each 16 bytes of shared memory
  std::vector<std::size_t> landed_;
  std::vector<ThreadCopies> threads_;
};

}  // namespace tdds::simt
