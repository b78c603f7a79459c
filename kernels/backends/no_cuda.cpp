// Stands for kernels/cuda/ in a build without CUDA.
#include "kernels/backends/backend.h"

namespace tdds {

Backend cuda_backend() {
  return {
      nullptr,
      "this build was made without CUDA; configure with -DTDDS_CUDA=ON where a CUDA toolkit and cuDNN are",
      nullptr};
}

}  // namespace tdds
