// Winograd's kernels for one instruction set: see winograd_simd.h.
#define TDDS_WINOGRAD_ISA generic
#include "kernels/cpu/conv/winograd_simd.h"
