// Replaces kernels/cuda/ in a build without CUDA.
#include "kernels/backends/backend.h"

namespace tdds {

Backend cuda_backend() {
  return {
      nullptr,
      "this build was made without CUDA; install a CUDA toolkit and cuDNN and configure with -DTDDS_CUDA=ON",
      nullptr};
}

}  // namespace tdds
