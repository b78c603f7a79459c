#pragma once
// Measures the peak rates of the CPU, which bound the speed of every op.

#include <cstddef>

#include "kernels/runtime/device.h"

namespace tdds::cpu {

// Runs on as many threads as OpenMP would use, up to one per core, and takes the best of several runs per
// thread:
//   fp32, tf32: independent chains of multiply-adds in registers, in the widest vectors that isa() allows
//   half: chains of bf16 products, by AMX where the CPU has it, else by avx512_bf16; 0 without either
//   bytes: reads of a buffer of `tensor_bytes`, from the caches that hold it; 0 for an empty buffer
// Takes a few tenths of a second.
DevicePeak measured_peak(std::size_t tensor_bytes);

}  // namespace tdds::cpu
