#pragma once
// What the CPU does at best, measured: no op is faster.

#include <cstddef>

#include "kernels/runtime/device.h"

namespace tdds::cpu {

// On as many threads as OpenMP would use, up to one per core; the best of some runs of each thread.
//   fp32, tf32: independent chains of multiply-adds in registers, in the widest vectors that isa() allows
//   half: such chains of bf16 products, by AMX where the CPU has it, else by avx512_bf16; 0 without either
//   bytes: reads of a buffer of `tensor_bytes`, from the caches that hold it; 0 for an empty one
// Takes some tenths of a second.
DevicePeak measured_peak(std::size_t tensor_bytes);

}  // namespace tdds::cpu
