#include "kernels/ops.h"

namespace tdds {

Backend cuda_backend() {
  return {nullptr, "its table of ops is not complete in this build", nullptr};
}

}  // namespace tdds
