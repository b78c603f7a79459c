#include "engine/image/stb_decoder.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/runtime/check.h"

namespace {

void* zeroed_realloc(void* old, std::size_t old_bytes, std::size_t bytes) {
  void* fresh = std::calloc(1, bytes);
  if (fresh == nullptr) return nullptr;
  if (old != nullptr) std::memcpy(fresh, old, std::min(old_bytes, bytes));
  std::free(old);
  return fresh;
}

}  // namespace

// Its names stay in this file: the curves link Debian's library, which has them too.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC_SIZED(old, old_bytes, bytes) zeroed_realloc(old, old_bytes, bytes)
#define STBI_FREE(memory) std::free(memory)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of callbacks, which a reader from memory never asks
#endif
#include <stb/stb_image.h>

namespace tdds {

Picture stb_decode(std::string_view bytes, const std::string& file) {
  Picture picture;
  int channels = 0;
  picture.pixels.reset(stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()),
                                             static_cast<int>(bytes.size()), &picture.width, &picture.height,
                                             &channels, 3));
  // stb leaves the reason null where it only found no format that fits.
  const char* reason = picture.pixels != nullptr ? nullptr : stbi_failure_reason();
  check(picture.pixels != nullptr, "{} is damaged ({}): restore or remove it.", file,
        reason != nullptr ? reason : "of no known format");
  return picture;
}

}  // namespace tdds
