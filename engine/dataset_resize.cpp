#include "engine/dataset_resize.h"

#if __has_include(<stb/stb_image_resize2.h>)
#define STB_IMAGE_RESIZE_STATIC
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb/stb_image_resize2.h>
#else
#define STB_IMAGE_RESIZE_STATIC
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb/stb_image_resize.h>
#endif

#include "kernels/check.h"

namespace tdds {

std::vector<std::uint8_t> resize_image(const std::uint8_t* pixels, int width, int height, int new_width,
                                       int new_height) {
  std::vector<std::uint8_t> out(std::size_t{3} * new_width * new_height);
#if __has_include(<stb/stb_image_resize2.h>)
  const bool ok = stbir_resize_uint8_linear(pixels, width, height, 0, out.data(), new_width, new_height, 0,
                                            STBIR_RGB) != nullptr;
#else
  const bool ok = stbir_resize_uint8(pixels, width, height, 0, out.data(), new_width, new_height, 0, 3) != 0;
#endif
  check(ok, "There is no memory left to resize an image of {} x {} pixels.", width, height);
  return out;
}

}  // namespace tdds
