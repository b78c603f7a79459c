#pragma once
// Which file every training row is: what makes a score or a mask refer to images rather than to numbers.
//
// A manifest is text: lines that begin with '#' (what it is, where the files were, and what was done to the images),
// then one line a training row in its order: label, bytes of the file, path below the folder, separated by tabs; a
// backslash, tab or line end in a path is written \\, \t, \n, \r. Its hash covers the rows and what was done, so a
// moved folder keeps it.

#include <cstdint>
#include <string>
#include <vector>

namespace tdds {

struct Manifest {
  std::string folder;   // the paths begin here
  std::string altered;  // what was done to the images, in words; empty: nothing
  std::vector<std::string> files;
  std::vector<std::uint64_t> bytes;
  std::vector<std::int32_t> labels;

  bool empty() const { return files.empty(); }
  std::string text() const;
  std::string hash() const;  // SHA-256, hex
};

// Reads what text() made. Throws Error, naming `path` and the line, for anything else.
Manifest read_manifest(const std::string& path);

}  // namespace tdds
