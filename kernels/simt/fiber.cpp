#include "kernels/simt/fiber.h"

#include <boost/context/preallocated.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace tdds::simt {
namespace {

// Reserves address space; pages are allocated when first used. The page below the stack is protected.
constexpr std::size_t kStackBytes = 256 * 1024;
// Stacks begin at different offsets in their pages. At one offset, the waiting threads of a warp would all
// take the same sets of the first-level cache.
constexpr std::size_t kOffsets = 8, kOffsetBytes = 4096 / kOffsets;

#if defined(__SANITIZE_ADDRESS__)
void leave(void** shadow, const void* bottom, std::size_t bytes) {
  __sanitizer_start_switch_fiber(shadow, bottom, bytes);
}
void arrive(void* shadow, const void** bottom, std::size_t* bytes) {
  __sanitizer_finish_switch_fiber(shadow, bottom, bytes);
}
void forget(const void* bottom, std::size_t bytes) {
  __asan_unpoison_memory_region(bottom, bytes);
}
#else
void leave(void**, const void*, std::size_t) {}
void arrive(void*, const void**, std::size_t*) {}
void forget(const void*, std::size_t) {}
#endif

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {
  namespace context = boost::context;
  context::protected_fixedsize_stack allocator(kStackBytes);
  const context::stack_context stack = allocator.allocate();
  own_.bottom = static_cast<char*>(stack.sp) - stack.size;
  own_.bytes = stack.size;
  forget(own_.bottom, own_.bytes);
  static thread_local std::size_t made = 0;
  const std::size_t offset = made++ % kOffsets * kOffsetBytes;
  const context::preallocated place(static_cast<char*>(stack.sp) - offset, stack.size - offset, stack);
  self_ = context::fiber(std::allocator_arg, place, allocator, [this](context::fiber&& caller) {
    arrive(nullptr, &caller_extent_.bottom, &caller_extent_.bytes);
    caller_ = std::move(caller);
    body_();
    ended_ = true;
    leave(nullptr, caller_extent_.bottom, caller_extent_.bytes);
    return std::move(caller_);
  });
}

void Fiber::resume() {
  void* shadow = nullptr;
  leave(&shadow, own_.bottom, own_.bytes);
  self_ = std::move(self_).resume();
  arrive(shadow, nullptr, nullptr);
}

void Fiber::suspend() {
  leave(&own_.shadow, caller_extent_.bottom, caller_extent_.bytes);
  caller_ = std::move(caller_).resume();
  arrive(own_.shadow, &caller_extent_.bottom, &caller_extent_.bytes);
}

}  // namespace tdds::simt
