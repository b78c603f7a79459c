#include "kernels/cpu/conv/packed_filter.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/conv/onednn_conv.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

// Maps wider than this were not faster.
constexpr std::int32_t kWideEnough = 60;

// How the images are laid out in the wide maps: columns from one image to the next in y and in x, the number
// of wide maps, and images per map.
struct Layout {
  explicit Layout(const Conv2dSpec& s)
      : y_pitch(s.out_width() + 1),
        x_pitch(y_pitch * s.stride),
        maps(ceil_div(s.batch, std::max(1, kWideEnough / x_pitch))),
        images(ceil_div(s.batch, maps)) {}

  std::int32_t y_pitch, x_pitch, maps, images;
};

Conv2dSpec packed(const Conv2dSpec& spec, const Layout& layout) {
  Conv2dSpec wide = spec;
  wide.batch = layout.maps;
  wide.width = layout.images * layout.x_pitch;
  return wide;
}

// Whether the filter, at the outermost outputs of an image, reads only zeros beside the image.
bool reaches_zeros(const Conv2dSpec& s, const Layout& layout) {
  const std::int32_t last = (s.out_width() - 1) * s.stride + s.filter_w - 1 - s.padding;
  return layout.x_pitch - s.width >= s.padding && last < layout.x_pitch &&
         packed(s, layout).out_width() == layout.images * layout.y_pitch;
}

class PackedFilterPass final : public Conv2dPass {
 public:
  PackedFilterPass(const Conv2dSpec& spec, const Layout& layout, DType filter_type)
      : spec_(spec),
        layout_(layout),
        pass_(onednn::make_direct_pass(packed(spec, layout), Direction::kBackwardFilter, filter_type)) {}

  std::size_t workspace_bytes() const override { return x_bytes() + y_bytes() + pass_->workspace_bytes(); }
  std::string name() const override { return pass_->name() + " side by side"; }

  void run(const void* a, const void* b, void* out, bool, void* workspace) const override {
    auto* const x = static_cast<std::byte*>(workspace);
    std::byte* const dy = x + x_bytes();
    pack(a, spec_.height, spec_.width, layout_.x_pitch, spec_.channels, x);
    pack(b, spec_.out_height(), spec_.out_width(), layout_.y_pitch, spec_.out_channels, dy);
    pass_->run(x, dy, out, false, dy + y_bytes());
  }

 private:
  std::size_t bytes(std::int32_t height, std::int32_t pitch, std::int32_t channels) const {
    return round_up(element_size(spec_.dtype) * layout_.maps * layout_.images * height * pitch * channels,
                    256);
  }
  std::size_t x_bytes() const { return bytes(spec_.height, layout_.x_pitch, spec_.channels); }
  std::size_t y_bytes() const { return bytes(spec_.out_height(), layout_.y_pitch, spec_.out_channels); }

  void pack(const void* from, std::int32_t height, std::int32_t width, std::int32_t pitch,
            std::int32_t channels, std::byte* to) const {
    const std::size_t pixel = element_size(spec_.dtype) * channels;
    const std::int64_t values = std::int64_t{layout_.images} * pitch * channels;
    parallel_for(std::int64_t{layout_.maps} * height, values, [&](std::int64_t row) {
      const std::int64_t map = row / height, h = row % height;
      std::byte* target = to + row * layout_.images * pitch * pixel;
      for (std::int32_t i = 0; i < layout_.images; ++i, target += pitch * pixel) {
        const std::int64_t image = map * layout_.images + i;
        const std::size_t filled = image < spec_.batch ? width * pixel : 0;
        if (filled)
          std::memcpy(target, static_cast<const std::byte*>(from) + (image * height + h) * filled, filled);
        std::memset(target + filled, 0, pitch * pixel - filled);
      }
    });
  }

  Conv2dSpec spec_;
  Layout layout_;
  std::unique_ptr<Conv2dPass> pass_;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_packed_filter_pass(const Conv2dSpec& spec, DType filter_type) {
  const Layout layout(spec);
  if (spec.dtype != DType::kBf16 || layout.images < 2 || !reaches_zeros(spec, layout)) return nullptr;
  return std::make_unique<PackedFilterPass>(spec, layout, filter_type);
}

}  // namespace tdds::cpu
