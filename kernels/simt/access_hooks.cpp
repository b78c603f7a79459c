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

void __tsan_read1(void* at) {
  load(__builtin_return_address(0), at, 1);
}
void __tsan_read2(void* at) {
  load(__builtin_return_address(0), at, 2);
}
void __tsan_read4(void* at) {
  load(__builtin_return_address(0), at, 4);
}
void __tsan_read8(void* at) {
  load(__builtin_return_address(0), at, 8);
}
void __tsan_read16(void* at) {
  load(__builtin_return_address(0), at, 16);
}
void __tsan_read_range(void* at, std::size_t bytes) {
  load(__builtin_return_address(0), at, bytes);
}
void __tsan_write1(void* at) {
  store(__builtin_return_address(0), at, 1);
}
void __tsan_write2(void* at) {
  store(__builtin_return_address(0), at, 2);
}
void __tsan_write4(void* at) {
  store(__builtin_return_address(0), at, 4);
}
void __tsan_write8(void* at) {
  store(__builtin_return_address(0), at, 8);
}
void __tsan_write16(void* at) {
  store(__builtin_return_address(0), at, 16);
}
void __tsan_write_range(void* at, std::size_t bytes) {
  store(__builtin_return_address(0), at, bytes);
}

unsigned __tsan_atomic32_fetch_add(volatile void* at, unsigned value, int) {
  atomic();
  return __atomic_fetch_add(static_cast<volatile unsigned*>(at), value, __ATOMIC_SEQ_CST);
}
unsigned __tsan_atomic32_fetch_or(volatile void* at, unsigned value, int) {
  atomic();
  return __atomic_fetch_or(static_cast<volatile unsigned*>(at), value, __ATOMIC_SEQ_CST);
}
unsigned long __tsan_atomic64_fetch_add(volatile void* at, unsigned long value, int) {
  atomic();
  return __atomic_fetch_add(static_cast<volatile unsigned long*>(at), value, __ATOMIC_SEQ_CST);
}
unsigned long __tsan_atomic64_fetch_or(volatile void* at, unsigned long value, int) {
  atomic();
  return __atomic_fetch_or(static_cast<volatile unsigned long*>(at), value, __ATOMIC_SEQ_CST);
}
}
#pragma GCC visibility pop
// NOLINTEND(bugprone-reserved-identifier)
