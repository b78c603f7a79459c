// Compares the colours of every form of every format with Pillow's.

#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/image/dataset_image.h"
#include "tests/engine/image_forms.h"

namespace tdds {
namespace {

// PNG and TGA are exact. BMP's 5 bits and PNM's maximum values are rounded to 8 bits; JPEG rounds in its
// transforms.
int rounding_of(const std::string& name) {
  if (is_form_of(name, "jpg")) return 2;
  return is_form_of(name, "bmp") || is_form_of(name, "ppm") ? 1 : 0;
}

TEST(ImageFormsTest, EveryFormHasPillowsColours) {
  ASSERT_EQ(image_forms().size(), 99u);
  for (const auto& [name, form] : image_forms()) {
    const auto decoded = decode_image(form.bytes, name, kFormSide);
    ASSERT_EQ(decoded.size(), form.pixels.size()) << name;
    // stb_image gives the last column of halved chroma the weights of its neighbour.
    const bool is_odd_at_the_edge = name.starts_with("ycc422");
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      const bool at_the_edge = i / 3 % kFormSide == kFormSide - 1;
      ASSERT_LE(std::abs(decoded[i] - form.pixels[i]),
                is_odd_at_the_edge && at_the_edge ? 8 : rounding_of(name))
          << name << ", value " << i;
    }
  }
}

}  // namespace
}  // namespace tdds
