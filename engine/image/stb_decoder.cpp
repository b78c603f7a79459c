#include "engine/image/stb_decoder.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/image/image_bytes.h"

namespace {

void* zeroed_realloc(void* old, std::size_t old_bytes, std::size_t bytes) {
  void* fresh = std::calloc(1, bytes);
  if (fresh == nullptr) return nullptr;
  if (old != nullptr) std::memcpy(fresh, old, std::min(old_bytes, bytes));
  std::free(old);
  return fresh;
}

}  // namespace

// The names are static, because the programs also link Debian's stb library, which has the same ones.
#define STB_IMAGE_STATIC
#ifdef __clang_analyzer__  // reads our code and not stb's, which leaks a 16-bit image where memory runs out
static const char* stbi__g_failure_reason;  // NOLINT(bugprone-reserved-identifier)
#else
#define STB_IMAGE_IMPLEMENTATION
#endif
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
// The warnings are about callbacks, which are not used here.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <stb/stb_image.h>

namespace tdds {

Picture stb_decode(std::string_view bytes, const std::string& file) {
  Picture picture;
  stbi__g_failure_reason = nullptr;  // of the thread, perhaps from an earlier image
  picture.pixels.reset(stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()),
                                             static_cast<int>(bytes.size()), &picture.width, &picture.height,
                                             nullptr, 3));
  if (picture.pixels == nullptr) refuse_undecoded(file, stbi_failure_reason());
  return picture;
}

void refuse_undecoded(const std::string& file, const char* reason) {
  const std::string_view given = reason != nullptr ? reason : "";
  check(given != "outofmem", "{} cannot be decoded: there is no memory for it.", file);
  refuse_damaged(file, given.empty() ? "its decoder refuses it without a reason" : given);
}

}  // namespace tdds
