#include "kernels/cpu/onednn.h"

#include <dnnl.hpp>

#include "kernels/runtime/isa.h"

namespace tdds::cpu::onednn {
namespace {

// Limits oneDNN to the instructions that TDDS_CPU_ISA allows, like the rest of the program. Otherwise oneDNN
// uses the best that the CPU has, which may exceed what Isa::kAvx512 stands for.
bool limit_instructions() {
  if (isa() == Isa::kAvx2) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  if (isa() == Isa::kGeneric) dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
  return true;
}

}  // namespace

void prepare() {
  [[maybe_unused]] static const bool limited = limit_instructions();
}

bool multiply(std::int64_t m, std::int64_t n, std::int64_t k, Matrix a, Matrix b, float beta, float* c,
              std::int64_t c_row_stride) {
  prepare();
  return dnnl::sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1.0F, a.data, a.row_stride,
                     b.data, b.row_stride, beta, c, c_row_stride) == dnnl::status::success;
}

}  // namespace tdds::cpu::onednn
