#include "kernels/cuda/nvtx.h"

#include <nvtx3/nvToolsExt.h>

namespace tdds {

void nvtx_push(const char* name) {
  nvtxRangePushA(name);
}
void nvtx_pop() {
  nvtxRangePop();
}

}  // namespace tdds
