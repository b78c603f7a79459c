#pragma once
// What is checked of a JPEG before stb_image decodes it.

#include <string>
#include <string_view>

namespace tdds {

struct CheckedJpeg {
  // A scan, or what a component has, ends before its last block; its end marker is there. Readers take such a
  // file, and fill what is missing.
  bool ends_early = false;
  // What stb_image has to be given in place of the file; empty: the file itself. Where it would take the four
  // components of a CMYK file for others, the marker of Adobe says what they are, as libjpeg takes them. A
  // scan that ends early is given a restart interval that ends with its last whole unit: stb_image then
  // leaves the rest as it is, and decodes no padding.
  std::string rewritten = {};
};

// Throws Error naming `file` where the file is cut short before its end marker, or damaged. What follows the
// end marker is ignored.
CheckedJpeg check_jpeg(std::string_view bytes, const std::string& file);

}  // namespace tdds
