#pragma once
// A data set as the steps read it, in device memory: images as uint8, labels, and the table that normalises
// them. Images that stay on the disk are not in it; a BatchPrefetcher (engine/batch_prefetcher.h) brings them
// a batch at a time.

#include <array>
#include <cstdint>
#include <memory>

#include "engine/data/dataset.h"
#include "kernels/ops/augment.h"
#include "kernels/runtime/device.h"

namespace tdds {

class BatchPrefetcher;

class DeviceDataset {
 public:
  // Copies the set; the stream is synchronised. Images on the disk are read from set.source as long as this
  // lives. mean and std per channel, in units of pixel / 255.
  DeviceDataset(Device& device, Stream& stream, const ImageSet& set, const std::array<float, 3>& mean,
                const std::array<float, 3>& std);

  std::int64_t count() const { return count_; }
  std::int32_t height() const { return height_; }
  std::int32_t width() const { return width_; }
  const std::uint8_t* images() const {
    return images_.get<std::uint8_t>();
  }                                                            // [N,H,W,3]; null where on the disk
  const ImageSource* source() const { return source_.get(); }  // null where in memory
  std::int64_t image_bytes() const { return std::int64_t{3} * height_ * width_; }
  const std::int32_t* labels() const { return labels_.get<std::int32_t>(); }      // [N]
  const float* table() const { return table_.get<float>(); }                      // [3,256]
  const std::uint32_t* aspects() const { return aspects_.get<std::uint32_t>(); }  // crop_aspects()

  // The op that brings the batch at the state's cursor to x [B,OH,OW,C], as the centre crop of evaluation.
  // prefetcher: what reads the images that are on the disk, or null.
  AugmentArgs augmentation(const TensorView& x, const std::int32_t* order, const StepState* state,
                           const BatchPrefetcher* prefetcher) const;

 private:
  std::int64_t count_;
  std::int32_t height_, width_;
  std::shared_ptr<const ImageSource> source_;
  DeviceMemory images_, labels_, table_, aspects_;
};

}  // namespace tdds
