#include "engine/device_dataset.h"

#include <vector>

#include "engine/batch_prefetcher.h"
#include "kernels/numerics/crop_box.h"
#include "kernels/runtime/check.h"

namespace tdds {

DeviceDataset::DeviceDataset(Device& device, Stream& stream, const ImageSet& set,
                             const std::array<float, 3>& mean, const std::array<float, 3>& std)
    : count_(set.count()), height_(set.height), width_(set.width), source_(set.source) {
  check(count_ > 0, "the data set has no images");
  if (!source_) images_ = DeviceMemory(device, set.images.size(), "the images");
  labels_ = DeviceMemory(device, set.labels.size() * sizeof(std::int32_t), "the labels");
  std::vector<float> table(3 * 256);
  fill_normalize_table(table.data(), mean.data(), std.data());
  table_ = DeviceMemory(device, table.size() * sizeof(float), "the normalisation table");
  if (!source_) stream.upload(images_.data(), set.images.data(), set.images.size());
  stream.upload(labels_.data(), set.labels.data(), set.labels.size() * sizeof(std::int32_t));
  stream.upload(table_.data(), table.data(), table.size() * sizeof(float));
  const auto aspects = crop_aspects();
  aspects_ = DeviceMemory(device, aspects.size() * sizeof(std::uint32_t), "the shapes of crops");
  stream.upload(aspects_.data(), aspects.data(), aspects.size() * sizeof(std::uint32_t));
  stream.synchronize();
}

AugmentArgs DeviceDataset::augmentation(const TensorView& x, const std::int32_t* order,
                                        const StepState* state, const BatchPrefetcher* prefetcher) const {
  return {.images = prefetcher ? prefetcher->images() : images(),
          .order = order,
          .state = state,
          .table = table(),
          .aspects = aspects(),
          .x = x.data,
          .dtype = x.dtype,
          .batch = static_cast<std::int32_t>(x.shape[0]),
          .height = height_,
          .width = width_,
          .out_height = static_cast<std::int32_t>(x.shape[1]),
          .out_width = static_cast<std::int32_t>(x.shape[2]),
          .channels_out = static_cast<std::int32_t>(x.shape[3]),
          .crop = Crop::kCentre,
          .padding = 0,
          .seed = 0,
          .gathered = prefetcher != nullptr};
}

}  // namespace tdds
