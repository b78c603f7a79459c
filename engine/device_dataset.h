#pragma once
// A data set in device memory, as the steps read it: images as uint8, labels, and the normalisation table.
// Images that stay on the disk are not in it; a BatchPrefetcher (engine/batch_prefetcher.h) brings them one
// batch at a time.

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
  // Copies the set and synchronizes the stream. Keeps set.source, from which images on the disk are read.
  // mean and std are per channel, in units of pixel / 255.
  DeviceDataset(Device& device, Stream& stream, const ImageSet& set, const std::array<float, 3>& mean,
                const std::array<float, 3>& std);

  std::int64_t count() const { return count_; }
  std::int32_t height() const { return height_; }
  std::int32_t width() const { return width_; }
  // [N,H,W,3]; null if the images stay on the disk.
  const std::uint8_t* images() const { return images_.get<std::uint8_t>(); }
  const ImageSource* source() const { return source_.get(); }  // null if the images are in memory
  std::int64_t image_bytes() const { return std::int64_t{3} * height_ * width_; }
  const std::int32_t* labels() const { return labels_.get<std::int32_t>(); }      // [N]
  const float* table() const { return table_.get<float>(); }                      // [3,256]
  const std::uint32_t* aspects() const { return aspects_.get<std::uint32_t>(); }  // crop_aspects()

  // The op that writes the batch at the state's cursor to x [B,OH,OW,C], as the centre crop of evaluation.
  // prefetcher reads the images that are on the disk, or is null.
  AugmentArgs augmentation(const TensorView& x, const std::int32_t* order, const StepState* state,
                           const BatchPrefetcher* prefetcher) const;

 private:
  std::int64_t count_;
  std::int32_t height_, width_;
  std::shared_ptr<const ImageSource> source_;
  DeviceMemory images_, labels_, table_, aspects_;
};

}  // namespace tdds
