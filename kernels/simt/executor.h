#pragma once
// Executes a CUDA kernel, compiled by the host compiler, on the calling thread: block after block, and in
// each block thread after thread. A thread runs until it ends or waits for others. A fiber (a stack of its
// own) is taken for the next thread again unless its thread waits, so that only waiting threads cost one.
//
// Whatever makes threads wait is one primitive, collective(): each lane of a warp or block posts a value, and
// the last to arrive combines them. Each wait carries its call site. These are errors, thrown as tdds::Error
// with the kernel's name: lanes of one group that wait at different sites, a wait for lanes that have left
// the kernel, a misaligned 16-byte access, shared memory past what the launch asked for. Shared memory is
// filled with NaN bits before each block.

#include <cstddef>
#include <cstdint>
#include <source_location>

#include "kernels/runtime/geometry.h"

namespace tdds::simt {

using Site = std::source_location;

// Where the running kernel's thread stands.
struct ThreadContext {
  Dim3 thread, block, block_dim, grid_dim;
  std::byte* shared = nullptr;
  std::size_t shared_bytes = 0;
};

// Only while a kernel runs; belongs to the executor.
extern constinit thread_local const ThreadContext* current_thread;

struct Kernel {
  const char* name;
  Dim3 grid, block;
  std::size_t shared_bytes;
};

// Runs body(parameters) once for each thread of the grid. Rethrows what a thread threw; the other threads of
// its block are then unwound, and later blocks do not start.
void execute(const Kernel& kernel, void (*body)(const void* parameters), const void* parameters);

inline constexpr std::size_t kSlotBytes = 16;

// slots: `count` of kSlotBytes each, in lane order, free to be overwritten; writes the result over slot 0.
using Combine = void (*)(std::byte* slots, std::uint32_t count);

// Posts `bytes` <= kSlotBytes of *value, waits until every lane of the group has, and replaces *value by the
// combined value, the same for all. combine is null for a mere barrier.
void collective(Group group, void* value, std::size_t bytes, Combine combine, const Site& site);

// `count` items of T at byte `offset` of the block's shared memory.
void* shared_memory(std::size_t offset, std::size_t bytes, std::size_t alignment);

[[noreturn]] void fail_misaligned(const void* address, const Site& site);

}  // namespace tdds::simt
