#pragma once
// Named ranges in NVIDIA's profilers. Their cost is not measurable without an attached profiler, and zero in
// a build without the NVTX header (kernels/cuda/absent/nvtx.cpp).

namespace tdds {

void nvtx_push(const char* name);
void nvtx_pop();

}  // namespace tdds
