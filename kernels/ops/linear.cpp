#include "kernels/ops/linear.h"

#include "kernels/ops/ops.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {

std::unique_ptr<Linear> make_linear(Device& device, const LinearSpec& spec) {
  check(spec.batch > 0 && spec.in_features > 0 && spec.out_features > 0,
        "linear: every size must be positive; got batch {}, in_features {}, out_features {}", spec.batch,
        spec.in_features, spec.out_features);
  return device.ops().make_linear(device, spec);
}

}  // namespace tdds
