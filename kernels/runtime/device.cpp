#include "kernels/runtime/device.h"

#include <omp.h>

#include "kernels/runtime/check.h"
#include "kernels/runtime/isa.h"

namespace tdds {

const char* to_string(OwnConvolutions own) {
  switch (own) {
    case OwnConvolutions::kNever:
      return "never";
    case OwnConvolutions::kWhereFaster:
      return "where_faster";
    case OwnConvolutions::kAlways:
      return "always";
  }
  throw Error("to_string: unknown use of own convolutions");
}

const char* to_string(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::kCpu:
      return "cpu";
    case DeviceKind::kSimt:
      return "simt";
    case DeviceKind::kCuda:
      return "cuda";
  }
  throw Error("to_string: unknown device kind");
}

int host_cores() {
  return omp_get_num_procs();
}

bool host_has_bf16() {
  return cpu::multiplies_bf16();
}

void set_host_threads(int threads) {
  check_usage(threads >= 0 && threads <= 1024, "`threads` is {}; give 0 (one per core) to 1024", threads);
  omp_set_num_threads(threads == 0 ? host_cores() : threads);
}

}  // namespace tdds
