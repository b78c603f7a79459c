// The functions that g++ -fsanitize=thread calls at every access to memory. No sanitizer is linked: these
// report to the recorder of the running thread of a kernel, if it has one. They do nothing for host code.

#include "kernels/simt/access_recorder.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's
namespace {

using tdds::simt::AccessKind;

tdds::simt::AccessRecorder* recorder() {
  const tdds::simt::ThreadContext* thread = tdds::simt::current_thread;
  return thread ? thread->recorder : nullptr;
}

inline void load(const void* code, const void* from, std::size_t bytes) {
  if (auto* to = recorder()) to->access(code, from, bytes, AccessKind::kLoad);
}
inline void store(const void* code, const void* at, std::size_t bytes) {
  if (auto* to = recorder()) to->access(code, at, bytes, AccessKind::kStore);
}
void atomic() {
  if (auto* to = recorder()) to->atomic();
}

}  // namespace

#pragma GCC visibility push(hidden)
extern "C" {
void __tsan_init() {}
void __tsan_vptr_update(void**, void*) {}

#define TDDS_ACCESS(bytes)                         \
  void __tsan_read##bytes(void* at) {              \
    load(__builtin_return_address(0), at, bytes);  \
  }                                                \
  void __tsan_write##bytes(void* at) {             \
    store(__builtin_return_address(0), at, bytes); \
  }
TDDS_ACCESS(1)
TDDS_ACCESS(2)
TDDS_ACCESS(4)
TDDS_ACCESS(8)
TDDS_ACCESS(16)
void __tsan_read_range(void* at, std::size_t bytes) {
  load(__builtin_return_address(0), at, bytes);
}
void __tsan_write_range(void* at, std::size_t bytes) {
  store(__builtin_return_address(0), at, bytes);
}

#define TDDS_ATOMIC(bits, type, operation)                                                 \
  type __tsan_atomic##bits##_##operation(volatile void* at, type value, int) {             \
    atomic();                                                                              \
    return __atomic_##operation(static_cast<volatile type*>(at), value, __ATOMIC_SEQ_CST); \
  }
TDDS_ATOMIC(32, unsigned, fetch_add)
TDDS_ATOMIC(32, unsigned, fetch_or)
TDDS_ATOMIC(64, unsigned long, fetch_add)
TDDS_ATOMIC(64, unsigned long, fetch_or)
}
#pragma GCC visibility pop
// NOLINTEND(bugprone-reserved-identifier)
