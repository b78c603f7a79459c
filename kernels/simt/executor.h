#pragma once
// Executes a CUDA kernel, compiled by the host compiler, on the calling thread: block after block, and in
// each block thread after thread. A thread runs until it ends or waits for others. A fiber (a separate stack)
// is reused for the next thread unless its thread waits, so that only waiting threads need a fiber each.
//
// All waiting is done by one primitive, collective(): each lane of a warp or block posts a value, and the
// last to arrive combines them. Each wait has its call site. The following errors are thrown as tdds::Error
// with the kernel's name: lanes of one group that wait at different sites, a wait for lanes that have left
// the kernel, a misaligned 16-byte access, and shared memory beyond what the launch requested. Shared memory
// is filled with NaN bits before each block.

#include <cstddef>
#include <cstdint>
#include <source_location>

#include "kernels/runtime/geometry.h"
#include "kernels/runtime/kernel_counters.h"

namespace tdds::simt {

using Site = std::source_location;

class AccessRecorder;
class Fiber;

// The position of the running thread, its shared memory, and the fiber on whose stack its variables are.
struct ThreadContext {
  Dim3 thread, block, block_dim, grid_dim;
  std::uint32_t rank = 0;  // in the block
  std::byte* shared = nullptr;
  std::size_t shared_bytes = 0;
  Fiber* fiber = nullptr;
  AccessRecorder* recorder = nullptr;  // null where accesses are not counted
};

// Owned by the executor; valid only while code of a kernel runs.
extern constinit thread_local const ThreadContext* current_thread;

struct Kernel {
  const char* name;
  Dim3 grid, block;
  std::size_t shared_bytes;
  KernelCounters* counters = nullptr;  // to which the launch is added; null: it is not counted
};

// Runs body(parameters) once for each thread of the grid; `bytes` is the size of the parameters. If a thread
// throws, the other threads of its block are unwound, later blocks do not start, and the exception is
// rethrown.
void execute(const Kernel& kernel, void (*body)(const void* parameters), const void* parameters,
             std::size_t bytes);

inline constexpr std::size_t kSlotBytes = 16;

// slots: `count` slots of kSlotBytes each, in lane order. Writes the result to slot 0 and may overwrite the
// others.
using Combine = void (*)(std::byte* slots, std::uint32_t count);

// Posts `bytes` <= kSlotBytes of *value, waits until every lane of the group has posted, and replaces *value
// by the combined value, which is the same for all lanes. combine is null for a barrier.
void collective(Group group, void* value, std::size_t bytes, Combine combine, const Site& site);

// `bytes` bytes at byte `offset` of the block's shared memory. It is an error if `offset` is not aligned.
void* shared_memory(std::size_t offset, std::size_t bytes, std::size_t alignment);

[[noreturn]] void fail_misaligned(const void* address, const Site& site);

}  // namespace tdds::simt
