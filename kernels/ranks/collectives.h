#pragma once
// Exchanges among the ranks of a training, as commands of a stream. Every rank enqueues the same ones in the
// same order, on the stream or on its branch, eagerly or in a recording. All memory is the device's, and
// results have the same bits on every rank.
//
// On a host they run through the ranks' own exchange, and sums are made in the order of the ranks. On a GPU
// they are NCCL's.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Device;
class Ranks;
class Stream;

class Collectives {
 public:
  virtual ~Collectives() = default;

  // `slots` is [ranks][slot_bytes], and this rank has filled its own; then all are filled.
  virtual void all_gather(Stream& stream, void* slots, std::size_t slot_bytes) = 0;
  // data[i] = the sum of data[i] over the ranks. fp32, fp16 or bf16; sums are made in fp32 and rounded once
  // on a host.
  virtual void sum(Stream& stream, void* data, std::int64_t n, DType dtype) = 0;
  // Everywhere what it is on rank 0.
  virtual void broadcast(Stream& stream, void* data, std::size_t bytes) = 0;
};

// `device` and `ranks` must outlive the result. Collective.
std::unique_ptr<Collectives> make_collectives(Device& device, Ranks& ranks);

}  // namespace tdds
