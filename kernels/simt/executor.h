#pragma once
// Executes a CUDA kernel, compiled by the host compiler, on the calling thread: block after block, and in
// each block thread after thread. A thread runs until it ends or waits for others. A fiber (a separate stack)
// is reused for the next thread unless its thread waits, so that only waiting threads need a fiber each.
//
// All waiting is done by one primitive, collective(): each lane of a warp or block posts a value, and the
// last to arrive combines them. Each wait has its call site. The following errors are thrown as tdds::Error
// with the kernel's name: lanes of one group that wait at different sites, a wait for lanes that have left
// the kernel, a misaligned 16-byte access, shared memory beyond what the launch requested, and the misuse of
// asynchronous copies (kernels/simt/async_copies.h). Shared memory is filled with NaN bits before each block.

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>

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

// What the lanes of a group do when all of them have come.
enum class Meeting : std::uint8_t { kBarrier, kReduction, kLoadMatrix, kMma };

// Reads the values that `count` lanes have posted, in lane order, and replaces each by the lane's result.
using Combine = void (*)(void* const* values, std::uint32_t count);

// Posts *value and waits until every lane of the group has posted and the last one has combined the values.
// value and combine are null for a barrier.
void collective(Group group, Meeting meeting, void* value, Combine combine, const Site& site);

// `bytes` bytes at byte `offset` of the block's shared memory. It is an error if `offset` is not aligned.
void* shared_memory(std::size_t offset, std::size_t bytes, std::size_t alignment);

// Throws Error "kernel <name>, thread <> of block <>: <why>" for the running thread.
[[noreturn]] void fail(const std::string& why);
[[noreturn]] void fail_misaligned(const void* address, const Site& site);
std::string text(const Site& site);
std::string text(const Dim3& at);

}  // namespace tdds::simt
