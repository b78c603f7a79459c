#pragma once
// A training that takes milliseconds: a narrow ResNet-18 on 8x8 images whose brightness depends on the class.

#include <memory>
#include <utility>
#include <vector>

#include "engine/trainer.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"
#include "nets/resnet.h"

namespace tdds::test {

inline constexpr int kClasses = 4;

// Images whose brightness depends on the class, with noise. They are learnt within a few epochs.
inline ImageSet bright_images(std::int64_t n) {
  ImageSet set{.height = 8, .width = 8, .images = {}, .labels = {}};
  for (std::int64_t i = 0; i < n; ++i) {
    const int label = static_cast<int>(i % kClasses);
    set.labels.push_back(label);
    for (int j = 0; j < 8 * 8 * 3; ++j)
      set.images.push_back(static_cast<std::uint8_t>(
          30 + 50 * label + scaled(philox(5, Purpose::kTest, 0, i * 1000 + j).w[0], 40)));
  }
  return set;
}

// Imitates a cache: images are read one by one.
class FarImages : public ImageSource {
 public:
  explicit FarImages(ImageSet set) : set_(std::move(set)) {}
  void read(std::int64_t row, std::uint8_t* out) const override {
    check(row != damaged_row, "row {} is damaged", row);
    set_.read_image(row, out);
  }
  std::uint32_t checksum(std::int64_t row) const override { return static_cast<std::uint32_t>(row); }
  Sums sums(std::int64_t) const override { return {}; }

  std::int64_t damaged_row = -1;

 private:
  ImageSet set_;
};

inline ImageSet on_the_disk(const ImageSet& set, std::int64_t damaged_row = -1) {
  const auto far = std::make_shared<FarImages>(set);
  far->damaged_row = damaged_row;
  return {.height = set.height, .width = set.width, .images = {}, .labels = set.labels, .source = far};
}

// A run with its own device, stream, network and data set.
struct SmallRun {
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Net> net;
  PassPool pool;
  DeviceDataset set;
  Trainer trainer;

  explicit SmallRun(const TrainOptions& options, StreamMode mode = StreamMode::kImmediate,
                    std::int64_t samples = 26, bool on_disk = false, const DeviceOptions& device_options = {},
                    DeviceKind kind = DeviceKind::kCpu, double width = 0.125)
      : SmallRun(options, make_device(kind, device_options), mode, samples, on_disk, width) {}
  SmallRun(const TrainOptions& options, std::unique_ptr<Device> on, StreamMode mode,
           std::int64_t samples = 26, bool on_disk = false, double width = 0.125,
           DataParallel* parallel = nullptr)
      : device(std::move(on)),
        stream(device->make_stream(mode)),
        net(make_net(*device, *stream, options.compute, width)),
        pool(*device, *net),
        set(*device, *stream, on_disk ? on_the_disk(bright_images(samples)) : bright_images(samples),
            {0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}),
        trainer(*device, *stream, *net, pool, set, options, parallel) {
    pool.place();
  }

  static std::unique_ptr<Net> make_net(Device& device, Stream& stream, DType compute, double width = 0.125) {
    ResNetSpec spec;
    spec.classes = kClasses;
    spec.width = width;
    spec.image_size = 8;
    auto made = make_resnet(spec);
    made->params().place(device, stream, compute);
    made->params().initialize(stream, 3);
    return made;
  }

  // The first and the last epoch of the whole run.
  struct Learnt {
    EpochRecord first, last;
  };
  Learnt learn() {
    Learnt learnt;
    learnt.first = epoch();
    while (!trainer.done()) learnt.last = epoch();
    return learnt;
  }

  EpochRecord epoch() {
    while (trainer.cursor() < trainer.samples()) trainer.step();
    return trainer.end_epoch();
  }

  std::vector<std::byte> weights() {
    std::vector<std::byte> all;
    for (int i = 0; i < static_cast<int>(net->params().list().size()); ++i) {
      const std::vector<std::byte> one = net->params().download(*stream, i);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
};

inline TrainOptions options(int epochs = 3) {
  TrainOptions o;
  o.batch = 8;  // 26 samples: three full batches and one of 2
  o.epochs = epochs;
  o.learning_rate = 0.02;
  o.dynamics = true;
  return o;
}

}  // namespace tdds::test
