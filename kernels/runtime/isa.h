#pragma once
// Which vector instructions the CPU kernels use on this machine.

namespace tdds::cpu {

enum class Isa { kGeneric, kAvx2, kAvx512 };

// The best that this CPU has, or less where the environment variable TDDS_CPU_ISA says so (generic, avx2,
// avx512). Throws UsageError for another word or one that this CPU lacks.
Isa isa();
const char* isa_name();

// The variant of some code that is made for an instruction set: all code for more than one is chosen here.
template <class T>
constexpr const T& variant_for(Isa isa, const T& generic, const T& avx2, const T& avx512) {
  return isa == Isa::kAvx512 ? avx512 : isa == Isa::kAvx2 ? avx2 : generic;
}

// Whether there are instructions for products of bf16 (avx512_bf16, which every CPU with AMX has too).
bool multiplies_bf16();

}  // namespace tdds::cpu
