#include "kernels/backends/backend.h"
#include "kernels/cpu/plans.h"
#include "kernels/ranks/host_collectives.h"
#include "kernels/runtime/host_stream.h"

namespace tdds {

Backend cpu_backend() {
  static constexpr Ops kOps{Kernels::kCpu, cpu::make_conv2d, cpu::make_linear};
  return {&kOps, nullptr, make_host_device, make_host_collectives};
}

}  // namespace tdds
