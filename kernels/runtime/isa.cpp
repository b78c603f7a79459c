#include "kernels/runtime/isa.h"

#include <cstdlib>
#include <string_view>

#include "kernels/runtime/check.h"

namespace tdds::cpu {
namespace {

Isa best_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return Isa::kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::kAvx2;
#endif
  return Isa::kGeneric;
}

Isa choose_isa() {
  const Isa best = best_isa();
  const char* wish = std::getenv("TDDS_CPU_ISA");
  if (!wish) return best;
  const std::string_view word = wish;
  check_usage(word == "generic" || word == "avx2" || word == "avx512",
              "TDDS_CPU_ISA is '{}'; set it to generic, avx2 or avx512", word);
  const Isa asked = word == "generic" ? Isa::kGeneric : word == "avx2" ? Isa::kAvx2 : Isa::kAvx512;
  check_usage(asked <= best, "TDDS_CPU_ISA is '{}', which this CPU does not have; leave it unset", word);
  return asked;
}

}  // namespace

Isa isa() {
  static const Isa chosen = choose_isa();
  return chosen;
}

bool multiplies_bf16() {
#if defined(__x86_64__)
  return isa() == Isa::kAvx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

const char* isa_name() {
  switch (isa()) {
    case Isa::kGeneric:
      return "generic";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "unknown";
}

}  // namespace tdds::cpu
