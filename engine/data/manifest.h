#pragma once
// Which file every training row is: what makes a score or a mask refer to images rather than to numbers.
//
// A manifest is text: lines that begin with '#' (what it is, where the files were, and what was done to the
// images), then one line a training row in its order: label, bytes of the file, SHA-256 of those bytes (hex),
// path below the folder, separated by tabs; a backslash, tab or line end in a path is written \\, \t, \n, \r.
// Its hash covers the rows and what was done, so a moved folder keeps it, and so does another size of the
// images. Version 1 had no SHA-256: it cannot tell two files of equal size apart.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/hash.h"

namespace tdds {

struct Manifest {
  std::string folder;   // the paths begin here
  std::string altered;  // what was done to the images, in words; empty: nothing
  std::vector<std::string> files;
  std::vector<std::uint64_t> bytes;
  std::vector<std::int32_t> labels;
  std::vector<Sha256> contents = {};  // of each file's bytes; empty: version 1

  bool empty() const { return files.empty(); }
  // Keeps these rows, in this order. Labels are as they were where there are none.
  void keep_rows(const std::vector<std::int32_t>& rows);
  std::string text() const;

  // SHA-256 (hex) of the line of what was done, where there is one, and of the rows as they stand in text().
  std::string hash() const;
  // The same as if this were of version 1, with lines of label, bytes and path: what masks and runs of that
  // version hold.
  std::string hash_v1() const;
  // Whether a mask or run that holds `hash` is of these files: equal contents, or of version 1, where no more
  // can be told, equal sizes.
  bool matches(const std::string& hash) const;
};

// Reads what text() made. Throws Error, naming `path` and the line, for anything else.
Manifest read_manifest(const std::string& path);

}  // namespace tdds
