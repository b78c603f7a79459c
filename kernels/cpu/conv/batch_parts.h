#pragma once
// A convolution in parts of its batch, each served by one thread with a pass of its own. Neither the number
// of parts nor the code that runs for one depends on the number of threads, and so the results do not.

#include <algorithm>
#include <vector>

#include "kernels/cpu/conv/conv2d_pass.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {

template <class Pass>
class BatchParts {
 public:
  // make(spec): the pass for the images of a part. parts <= spec.batch.
  template <class Make>
  BatchParts(const Conv2dSpec& spec, std::int32_t parts, Make make)
      : products_(std::int64_t{spec.batch} * spec.out_height() * spec.out_width() * spec.out_channels *
                  spec.filter_h * spec.filter_w * spec.channels) {
    const OneThread guard;
    for (std::int32_t part = 0; part < parts; ++part) {
      const std::int64_t begin = std::int64_t{spec.batch} * part / parts;
      Conv2dSpec images = spec;
      images.batch = static_cast<std::int32_t>(std::int64_t{spec.batch} * (part + 1) / parts - begin);
      parts_.push_back({static_cast<std::size_t>(begin), make(images)});
    }
  }

  std::size_t count() const { return parts_.size(); }
  const Pass& operator[](std::size_t part) const { return parts_[part].pass; }

  // Calls run_part(part, first_image) for each part.
  template <class RunPart>
  void run(const RunPart& run_part) const {
    if (threads_for(products_ / kProductsAValue) == 1) {
      const OneThread guard;
      for (std::size_t i = 0; i < parts_.size(); ++i) run_part(i, parts_[i].first_image);
    } else {
#pragma omp parallel for schedule(dynamic)
      for (std::size_t i = 0; i < parts_.size(); ++i) run_part(i, parts_[i].first_image);
    }
  }

  // The largest bytes(pass), rounded up so that parts may lie side by side.
  template <class Bytes>
  std::size_t largest(const Bytes& bytes) const {
    std::size_t most = 0;
    for (const Part& part : parts_) most = std::max(most, round_up(bytes(part.pass), 256));
    return most;
  }

 private:
  struct Part {
    std::size_t first_image;
    Pass pass;
  };

  std::int64_t products_;
  std::vector<Part> parts_;
};

// Bytes of one image of x and of y.
inline std::size_t x_image_bytes(const Conv2dSpec& s) {
  return element_size(s.dtype) * s.height * s.width * s.channels;
}
inline std::size_t y_image_bytes(const Conv2dSpec& s) {
  return element_size(s.dtype) * s.out_height() * s.out_width() * s.out_channels;
}

}  // namespace tdds::cpu
