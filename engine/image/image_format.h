#pragma once
// Recognises the format of an image file by its content; its name is ignored.

#include <string>
#include <string_view>

namespace tdds {

enum class ImageFormat { kJpeg, kPng, kBmp, kTga, kPnm };

// Throws Error that names `file`, and the format if it is known, for any other format.
ImageFormat image_format(std::string_view bytes, const std::string& file);

}  // namespace tdds
