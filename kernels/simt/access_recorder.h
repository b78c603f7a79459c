#pragma once
// Counts what a kernel does (kernels/runtime/kernel_counters.h). The hooks of access_hooks.cpp report the
// accesses of the running thread, and the executor reports where threads have waited for each other. The
// requests of a warp are put together thread after thread, and counted when its threads have waited or ended.

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kernels/runtime/kernel_counters.h"
#include "kernels/simt/executor.h"

namespace tdds::simt {

enum class AccessKind : std::uint8_t { kLoad, kStore };

class AccessRecorder {
 public:
  // Starts a launch. Accesses to the `bytes` bytes of its parameters are not counted.
  void begin(const Kernel& kernel, const void* parameters, std::size_t bytes);

  // Of the running thread, from the place `code`. Parts of 16 bytes are separate accesses.
  void access(const void* code, const void* address, std::size_t bytes, AccessKind kind);
  void atomic() { ++counters_->atomics; }

  // The threads of the block, or of one of its warps, have all come. This and end_block() throw Error if the
  // block has made more requests than are kept.
  void met(Group group, std::uint32_t warp, Meeting meeting);
  void end_block();

 private:
  struct Request {
    std::uint32_t lanes = 0;                          // one bit each
    std::array<std::uintptr_t, kWarpSize> addresses;  // of the lanes that take part
  };
  // Code whose accesses make requests together: one place, kind and width, to one kind of memory.
  struct Place {
    std::uint32_t bytes;
    AccessKind kind;
    bool shared;
  };
  // The requests of a warp from one place since its last barrier.
  struct WarpRequests {
    std::vector<Request> requests;
    std::array<std::uint32_t, kWarpSize> of_lane{};  // accesses so far
  };

  std::uint32_t index_of(const void* code, const Place& place);
  void count(const Place& place, const Request& request);
  void end_warp(std::uint32_t warp);

  KernelCounters* counters_ = nullptr;
  const std::byte *parameters_ = nullptr, *parameters_end_ = nullptr;
  std::unordered_map<std::uint64_t, std::uint32_t> indices_;  // of places_
  std::vector<Place> places_;
  std::vector<std::vector<WarpRequests>> warps_;  // [warp][place]
  std::size_t kept_ = 0;                          // requests of all warps
};

}  // namespace tdds::simt
