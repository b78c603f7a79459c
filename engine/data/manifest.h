#pragma once
// The file of every training row, so that a score or a mask refers to images rather than to row numbers.
//
// A manifest is text. Lines that begin with '#' say what it is, where the files were, and what was done to
// the images. Then each training row has one line, in order: label, bytes of the file, SHA-256 of those
// bytes (hex), path below the folder, separated by tabs. A backslash, tab or line end in a path is written
// \\, \t, \n, \r. The hash of a manifest covers the rows and what was done to the images, but neither the
// folder nor the size of the images. Version 1 had no SHA-256 of files, so it cannot tell two files of equal
// size apart.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/hash.h"

namespace tdds {

struct Manifest {
  std::string folder;   // the paths are relative to it
  std::string altered;  // what was done to the images, in words; empty: nothing
  std::vector<std::string> files;
  std::vector<std::uint64_t> bytes;
  std::vector<std::int32_t> labels;
  std::vector<Sha256> contents = {};  // of each file's bytes; empty: version 1

  bool empty() const { return files.empty(); }
  // Keeps these rows, in this order. Empty vectors stay empty.
  void keep_rows(const std::vector<std::int32_t>& rows);
  std::string text() const;

  // SHA-256 (hex) of the line on what was done, if there is one, and of the rows as in text().
  std::string hash() const;
  // The hash in version 1, with lines of label, bytes and path: the one that masks and runs of that version
  // hold.
  std::string hash_v1() const;
  // Whether a mask or run that holds `hash` is of these files: of equal contents, or if the hash is of
  // version 1, of equal sizes.
  bool matches(const std::string& hash) const;
};

// Reads what text() made. Throws Error, naming `path` and the line, for anything else.
Manifest read_manifest(const std::string& path);

}  // namespace tdds
