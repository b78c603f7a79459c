#pragma once
// .npy arrays and .npz archives, written for tests.

#include <string>
#include <utility>
#include <vector>

#include "tests/engine/archive_files.h"

namespace tdds {

// The bytes of a .npy file, e.g. npy("<i8", "4, 1", data).
inline std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                       const std::string& fortran_order = "False") {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': " + fortran_order + ", 'shape': (" + shape + "), }";
  header.resize(117, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A zip as written by numpy.savez or numpy.savez_compressed. A name may occur twice.
inline void write_zip(const std::string& path,
                      const std::vector<std::pair<std::string, std::string>>& members,
                      bool compressed = true) {
  archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  archive_write_set_options(writer, compressed ? "zip:compression=deflate" : "zip:compression=store");
  write_archive(writer, path, members);
}

}  // namespace tdds
