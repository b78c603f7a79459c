#pragma once
// Checks a JPEG before stb_image decodes it.

#include <string>
#include <string_view>

namespace tdds {

struct CheckedJpeg {
  // A scan or a component ends before its last block, but the file has its end marker. Readers accept such a
  // file and fill the rest.
  bool ends_early = false;
  // The bytes to give to stb_image in place of the file; empty: the file itself. Where stb_image would
  // misread the four components of a CMYK file, Adobe's marker is inserted to name them, as libjpeg reads
  // them. A scan that ends early gets a restart interval that ends with its last complete unit, so that
  // stb_image leaves the rest unchanged and decodes no padding.
  std::string rewritten = {};
};

// Throws Error that names `file` if it is cut short before its end marker, or damaged. Data after the end
// marker are ignored.
CheckedJpeg check_jpeg(std::string_view bytes, const std::string& file);

}  // namespace tdds
