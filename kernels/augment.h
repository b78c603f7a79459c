#pragma once
// Gather by sample id, random horizontal flip, random crop with zero padding, normalise, cast.
// Official train.py: RandomHorizontalFlip, RandomCrop(32, padding=4), ToTensor, Normalize.
//
//   v          = u8 image[id], flipped left-right where flip(id)
//   x[b,y,x,c] = table[c][ v[y + dy - padding, x + dx - padding, c] ], and table[c][0] outside the image
//
// table[c][u] = (u / 255 - mean[c]) / std[c] in PyTorch's order of operations, so that images are bit-equal
// on all devices. flip, dy and dx come from Philox (kernels/philox.h) keyed by (seed, kAugment, epoch, id):
// word 0 bit 31 flips, word 1 and word 2 scaled to 0 .. 2 * padding are dy and dx. Channels C .. channels_out
// - 1 become 0.

#include <cstdint>

#include "kernels/step_state.h"
#include "kernels/tensor_view.h"

namespace tdds {

struct AugmentArgs {
  const std::uint8_t* images;  // in  [N,H,W,3], resident; [B,H,W,3] where gathered
  const std::int32_t* order;   // in  sample ids in visiting order; row b is sample order[state->cursor + b]
  const StepState* state;      // in  cursor, epoch
  const float* table;          // in  [3,256]
  void* x;                     // out [B,H,W,channels_out] of dtype
  DType dtype;                 // kF32, kF16 or kBf16
  std::int32_t batch, height, width, channels_out;
  std::int32_t padding;  // 4; flip and crop are off where `enabled` is false
  bool enabled;
  std::uint64_t seed;
  bool gathered = false;  // image b of `images` is row b of the batch; `order` still names its sample
};

// Writes table [3,256] on the host, in float32 and in the order of PyTorch's ToTensor and Normalize: divide
// by 255, subtract the mean, divide by the standard deviation.
void fill_normalize_table(float* table, const float mean[3], const float std[3]);

}  // namespace tdds
