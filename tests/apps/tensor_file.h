#pragma once
// A safetensors file as a list that tests change.

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"

namespace tdds::test {

struct FileTensor {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};
using TensorList = std::vector<FileTensor>;

inline TensorList read_tensors(const std::string& path) {
  const SafetensorsFile file(path);
  TensorList tensors;
  for (const StoredTensor& tensor : file.tensors()) {
    tensors.push_back({tensor.name, tensor.dtype, tensor.shape, std::vector<std::byte>(tensor.bytes)});
    file.read(tensor, tensors.back().bytes.data());
  }
  return tensors;
}

inline void write_tensors(const std::string& path, const TensorList& tensors, const Metadata& metadata = {}) {
  std::vector<NamedTensor> named;
  for (const FileTensor& tensor : tensors)
    named.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes.data()});
  write_safetensors(path, named, metadata);
}

inline FileTensor& tensor_named(TensorList& tensors, const std::string& name) {
  for (FileTensor& tensor : tensors)
    if (tensor.name == name) return tensor;
  throw std::out_of_range("no tensor " + name);
}

inline std::vector<float> floats_of(const FileTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

}  // namespace tdds::test
