#pragma once
// Of which format an image file is, by its content: its name says nothing.

#include <string>
#include <string_view>

namespace tdds {

enum class ImageFormat { kJpeg, kPng, kBmp, kTga, kPnm };

// Throws Error naming `file` where it is of another format, with the name of that format where it is known,
// or of none.
ImageFormat image_format(std::string_view bytes, const std::string& file);

}  // namespace tdds
