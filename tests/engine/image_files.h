#pragma once
// Small images in several formats, for tests.

#include <stb/stb_image_write.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tdds {

inline std::vector<std::uint8_t> test_pixels(int seed, int width, int height, int channels = 3) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width) * height * channels);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>(seed * 37 + i * 11 + i / 97);
  return pixels;
}

inline void append_bytes(void* text, void* bytes, int count) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(bytes), static_cast<std::size_t>(count));
}

inline std::string png_bytes(const std::vector<std::uint8_t>& pixels, int width, int height,
                             int channels = 3) {
  std::string bytes;
  stbi_write_png_to_func(append_bytes, &bytes, width, height, channels, pixels.data(), width * channels);
  return bytes;
}

inline std::string jpeg_bytes(const std::vector<std::uint8_t>& pixels, int width, int height) {
  std::string bytes;
  stbi_write_jpg_to_func(append_bytes, &bytes, width, height, 3, pixels.data(), 90);
  return bytes;
}

// A JPEG that ends early: removes the second half of the first scan and everything after it.
inline std::string with_half_a_scan(const std::string& jpeg) {
  const std::size_t scan = jpeg.find("\xff\xda"),
                    start = scan + 2 + static_cast<unsigned char>(jpeg[scan + 3]);
  std::size_t end = start;
  while (jpeg[end] != '\xff' || jpeg[end + 1] == '\0') ++end;
  std::size_t half = start + (end - start) / 2;
  while (jpeg[half - 1] == '\xff') --half;
  return jpeg.substr(0, half) + "\xff\xd9";
}

inline std::string ppm_bytes(const std::vector<std::uint8_t>& pixels, int width, int height) {
  return "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n" +
         std::string(pixels.begin(), pixels.end());
}

}  // namespace tdds
