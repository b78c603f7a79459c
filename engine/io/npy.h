#pragma once
// Reads and writes NumPy's .npy format (numpy.lib.format, versions 1.0 to 3.0) for arrays of numbers.
// Anything else throws Error.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/io/files.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

// An open array, read in pieces. read() may be called by several threads at once.
class NpyReader {
 public:
  // Throws Error unless `path` is a .npy file of numbers whose length fits its shape exactly.
  explicit NpyReader(const std::string& path);
  // The same for a file in memory; `name` is used in errors.
  NpyReader(std::string name, std::string bytes);
  // Also throws unless the numbers are little-endian, of this type, in C order and of this rank.
  NpyReader(const std::string& path, DType dtype, int rank);

  const std::string& path() const { return path_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t elements() const { return elements_; }
  const std::string& descr() const { return descr_; }  // "<f4": byte order, kind, bytes of an element
  bool fortran_order() const { return fortran_order_; }

  // Copies elements first .. first + count - 1 of the flattened array.
  void read(std::int64_t first, std::int64_t count, void* out) const;

 private:
  std::int64_t parse_header();  // returns the bytes of the file
  void check_length(std::int64_t file_bytes) const;
  void read_bytes(void* out, std::size_t bytes, std::int64_t offset) const;

  std::string descr_;
  bool fortran_order_ = false;
  std::string path_;
  std::optional<InputFile> file_;
  std::string bytes_;  // if there is no file_
  std::vector<std::int64_t> shape_;
  std::int64_t elements_ = 0, data_offset_ = 0, item_bytes_ = 0;
};

// Reads a whole array of rank 1.
std::vector<float> read_npy_f32(const std::string& path);
std::vector<std::int64_t> read_npy_i64(const std::string& path);

// Writes an array atomically (engine/io/atomic_file.h).
void write_npy(const std::string& path, std::span<const float> values,
               const std::vector<std::int64_t>& shape);
void write_npy(const std::string& path, std::span<const std::int64_t> values,
               const std::vector<std::int64_t>& shape);

}  // namespace tdds
