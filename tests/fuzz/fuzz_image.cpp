#include <stb/stb_image.h>

#include "engine/dataset_image.h"
#include "engine/jpeg_tables.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A hundred million pixels are allowed, and would only make the fuzzer slow.
  constexpr std::int64_t kMostPixels = 1 << 20;
  if (tdds::has_overlong_huffman_table(std::string_view(reinterpret_cast<const char*>(data), size))) return 0;
  int width = 0, height = 0, channels = 0;
  const bool known = stbi_info_from_memory(data, static_cast<int>(size), &width, &height, &channels) == 1;
  if (known && std::int64_t{width} * height > kMostPixels) return 0;
  return tdds::fuzz::try_to(
      data, size, [](std::string_view bytes) { tdds::decode_image(bytes, "f", 8, /*exif_rotate=*/true); });
}
