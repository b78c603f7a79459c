#pragma once
// The vector instructions that the CPU kernels use on this machine.

namespace tdds::cpu {

enum class Isa { kGeneric, kAvx2, kAvx512 };

// The best instruction set of this CPU, or the lower one that the environment variable TDDS_CPU_ISA names
// (generic, avx2, avx512). Throws UsageError for another value or one that this CPU does not have.
Isa isa();
const char* isa_name();

// Selects the variant for an instruction set. All code compiled for several instruction sets is chosen here.
template <class T>
constexpr const T& variant_for(Isa isa, const T& generic, const T& avx2, const T& avx512) {
  return isa == Isa::kAvx512 ? avx512 : isa == Isa::kAvx2 ? avx2 : generic;
}

// Whether the CPU has instructions for products of bf16 (avx512_bf16, which every CPU with AMX also has).
bool multiplies_bf16();

}  // namespace tdds::cpu
