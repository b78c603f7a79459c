#pragma once
// Files of named tensors that Python's `safetensors` reads and writes.
//
// Format: 8 bytes, the header's length n, little-endian; n bytes of JSON,
//   {"__metadata__": {"key": "text"}, "conv1.weight": {"dtype": "F32", "shape": [64, 3, 3, 3],
//    "data_offsets": [begin, end]}, ...}
// padded with spaces; then the data, little-endian and dense, to which the offsets are relative.
// Source: https://github.com/huggingface/safetensors#format

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/files.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

using Metadata = std::map<std::string, std::string>;

// A tensor to be written. `data` is host memory of product(shape) * element_size(dtype) bytes.
struct NamedTensor {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  const void* data;
};

// Streams the tensors into the file, atomically (engine/io/atomic_file.h). Wide elements come first, so that
// every tensor is aligned to its element size. Throws Error if two tensors share a name.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const Metadata& metadata = {});

// A tensor in a file. BOOL is read as kU8.
struct StoredTensor {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;  // offset in the file
  std::uint64_t bytes;
};

// An open file with a validated header: every offset lies in the file, tensors fill it without gaps or
// overlaps, and sizes agree with shapes. Throws Error with the file and the reason.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return file_.path(); }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }  // in the order of their data

  bool contains(std::string_view name) const { return find(name) != nullptr; }
  // Null if there is no such tensor.
  const StoredTensor* find(std::string_view name) const;
  // The tensor called `name`. Throws if it is absent.
  const StoredTensor& at(std::string_view name) const;

  // Reads tensor.bytes bytes to host memory.
  void read(const StoredTensor& tensor, void* to) const;
  // Reads the tensor called `name`, which must have exactly this type and shape.
  void read(std::string_view name, DType dtype, std::span<const std::int64_t> shape, void* to) const;

 private:
  InputFile file_;
  Metadata metadata_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace tdds
