#pragma once
// Named ranges in NVIDIA's profilers; they cost nothing measurable where none is attached, and nothing at all
// in a build without the NVTX header (kernels/cuda/absent/nvtx.cpp).

namespace tdds {

void nvtx_push(const char* name);
void nvtx_pop();

}  // namespace tdds
