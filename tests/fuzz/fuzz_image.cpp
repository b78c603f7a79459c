#include "engine/image/dataset_image.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return tdds::fuzz::try_to(
      data, size, [](std::string_view bytes) { tdds::decode_image(bytes, "f", 8, /*exif_rotate=*/true); });
}
