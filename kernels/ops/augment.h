#pragma once
// Gather by sample id, random horizontal flip, crop to [OH,OW], normalise, cast. There are three crops:
//
//   kCentre   the centre, not flipped: for evaluation, and for training without augmentation kPadded   a
//   random crop of the image padded with `padding` zeros on each side: train.py's RandomCrop(32, 4) kResized
//   a random box, resized: torchvision's RandomResizedCrop (kernels/numerics/crop_box.h)
//
//   kCentre   x[b,y,x,c] = table[c][ u8[id, y + (H-OH)/2, x + (W-OW)/2, c] ]
//   kPadded   x[b,y,x,c] = table[c][ v[y + dy - padding, x + dx - padding, c] ], and table[c][0] outside it
//   kResized  x[b,y,x,c] = table[c][ bilinear value of the flipped box at (y, x), rounded to u8 ]
//
// with v = u8 image[id], flipped left-right where flip(id). table[c][u] = (u / 255 - mean[c]) / std[c] in
// PyTorch's order of operations, so that images are bit-equal on all devices. flip, dy and dx come from
// Philox (kernels/numerics/philox.h) keyed by (seed, kAugment, epoch, id): bit 31 of word 0 is flip, word 1
// scaled to 0 .. H + 2 padding - OH is dy, and word 2 scaled likewise for the width is dx. Channels C ..
// channels_out - 1 become 0. kCentre and kPadded cannot enlarge; crop_box.h states the limits of kResized.

#include <cstdint>

#include "kernels/ops/step_state.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

class Stream;

enum class Crop : std::uint8_t { kCentre, kPadded, kResized };
const char* to_string(Crop crop);  // "none", "padded", "resized"

struct AugmentArgs {
  const std::uint8_t* images;    // in  [N,H,W,3], resident; [B,H,W,3] where gathered
  const std::int32_t* order;     // in  sample ids in visiting order; row b is sample order[state->cursor + b]
  const StepState* state;        // in  cursor, epoch
  const float* table;            // in  [3,256]
  const std::uint32_t* aspects;  // in  [1024] crop_aspects(); only for kResized, else null
  void* x;                       // out [B,OH,OW,channels_out] of dtype
  DType dtype;                   // kF32, kF16 or kBf16
  std::int32_t batch, height, width, out_height, out_width, channels_out;
  Crop crop;
  std::int32_t padding;  // for kPadded
  std::uint64_t seed;
  bool gathered = false;  // image b of `images` is row b of the batch; `order` still names its sample
  // Counters of the step's other kernels, which start at 0: this op, the first, sets them.
  std::uint32_t* tickets = nullptr;  // out [ticket_count], or null
  std::int64_t ticket_count = 0;
};

// Writes table [3,256] on the host, in float32 and in the order of PyTorch's ToTensor and Normalize: divide
// by 255, subtract the mean, divide by the standard deviation.
void fill_normalize_table(float* table, const float mean[3], const float std[3]);

void augment(Stream& stream, const AugmentArgs& args);

}  // namespace tdds
