#pragma once
// NumPy's .npy format (numpy.lib.format, versions 1.0 to 3.0): little-endian float32, int64, int32 and uint8
// arrays in C order, as the official code writes and reads them. Anything else is refused in a sentence.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/tensor_view.h"

namespace tdds {

// An open array, read in pieces; holds no data. read() may be called by several threads at once.
class NpyReader {
 public:
  // Throws Error unless `path` is a .npy file of this type and rank whose length fits its shape exactly.
  NpyReader(const std::string& path, DType dtype, int rank);
  ~NpyReader();
  NpyReader(NpyReader&& other) noexcept;
  NpyReader(const NpyReader&) = delete;
  NpyReader& operator=(const NpyReader&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t elements() const { return elements_; }

  // Copies elements first .. first + count - 1 of the flattened array.
  void read(std::int64_t first, std::int64_t count, void* out) const;

 private:
  std::string path_;
  std::vector<std::int64_t> shape_;
  std::int64_t elements_ = 0, data_offset_ = 0;
  std::size_t item_bytes_ = 0;
  int fd_ = -1;
};

// A whole array of rank 1.
std::vector<float> read_npy_f32(const std::string& path);
std::vector<std::int64_t> read_npy_i64(const std::string& path);

// Writes an array; the file appears whole or not at all (engine/atomic_file.h).
void write_npy(const std::string& path, std::span<const float> values, std::vector<std::int64_t> shape);
void write_npy(const std::string& path, std::span<const std::int64_t> values,
               std::vector<std::int64_t> shape);

}  // namespace tdds
