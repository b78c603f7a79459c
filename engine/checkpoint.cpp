#include "engine/checkpoint.h"

#include <cmath>
#include <cstring>
#include <set>

#include "kernels/check.h"
#include "kernels/half_convert.h"

namespace tdds {
namespace {

DType dtype_of(const Param& param) {
  return param.kind == ParamKind::kCounter ? DType::kI64 : DType::kF32;
}
bool has_momentum(const Param& param) {
  return param.kind != ParamKind::kRunning && param.kind != ParamKind::kCounter;
}

// Weights that training has blown up would take the place of good ones.
void check_finite(const std::vector<std::byte>& bytes, const Param& param) {
  if (dtype_of(param) != DType::kF32) return;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, &bytes[at], sizeof(value));
    check(std::isfinite(value),
          "{} is no longer finite: train with a lower --learning_rate; what was saved before stays as it is",
          param.name);
  }
}

// Host copies that outlive the list of tensors pointing at them.
struct Snapshot {
  std::vector<std::vector<std::byte>> copies;
  std::vector<NamedTensor> tensors;

  void add(std::string name, DType dtype, std::vector<std::int64_t> shape, std::vector<std::byte> bytes) {
    copies.push_back(std::move(bytes));
    tensors.push_back({std::move(name), dtype, std::move(shape), copies.back().data()});
  }
  void add_params(const std::string& prefix, Stream& stream, const Params& params, const char* which) {
    for (int i = 0; i < static_cast<int>(params.list().size()); ++i) {
      const Param& param = params.list()[i];
      if (std::string_view(which) == "momentum" && !has_momentum(param)) continue;
      std::vector<std::byte> bytes = params.download(stream, i, which);
      check_finite(bytes, param);
      add(prefix + param.name, dtype_of(param), param.shape, std::move(bytes));
    }
  }
};

void check_fits(const SafetensorsFile& file, const std::string& name, DType dtype,
                const std::vector<std::int64_t>& shape) {
  const StoredTensor& tensor = file.at(name);
  check(tensor.dtype == dtype && tensor.shape == shape,
        "{}: tensor '{}' is {} [{}], and this network wants {} [{}]; check --arch, --width and the data set",
        file.path().string(), name, name_of(tensor.dtype), fmt::join(tensor.shape, ", "), name_of(dtype),
        fmt::join(shape, ", "));
}

std::vector<std::byte> read_tensor(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor& tensor = file.at(name);
  std::vector<std::byte> bytes(tensor.bytes);
  file.read(tensor, bytes.data());
  return bytes;
}

bool is_half(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBf16;
}

template <class T>
std::vector<std::byte> widened(const std::vector<std::byte>& halves) {
  std::vector<std::byte> floats(halves.size() / sizeof(T) * sizeof(float));
  for (std::size_t i = 0; i < halves.size() / sizeof(T); ++i) {
    T half;
    std::memcpy(&half, &halves[i * sizeof(T)], sizeof(T));
    const float value = to_float(half);
    std::memcpy(&floats[i * sizeof(float)], &value, sizeof(float));
  }
  return floats;
}

// A model's tensor, its 16-bit floats as float32.
std::vector<std::byte> read_widened(const SafetensorsFile& file, const std::string& name) {
  const DType dtype = file.at(name).dtype;
  std::vector<std::byte> bytes = read_tensor(file, name);
  if (dtype == DType::kF16) return widened<half_t>(bytes);
  if (dtype == DType::kBf16) return widened<bf16_t>(bytes);
  return bytes;
}

}  // namespace

ModelSnapshot::ModelSnapshot(Stream& stream, const Params& params, Metadata metadata)
    : metadata_(std::move(metadata)) {
  Snapshot snapshot;
  snapshot.add_params("", stream, params, "weight");
  copies_ = std::move(snapshot.copies);
  tensors_ = std::move(snapshot.tensors);
}

void ModelSnapshot::write(const std::filesystem::path& path) const {
  write_safetensors(path, tensors_, metadata_);
}

void save_model(const std::filesystem::path& path, Stream& stream, const Params& params,
                const Metadata& metadata) {
  ModelSnapshot(stream, params, metadata).write(path);
}

void load_model(const std::filesystem::path& path, Stream& stream, Params& params) {
  const SafetensorsFile file(path);
  const bool checkpoint = file.contains("model." + params.list()[0].name);
  const bool parallel = file.contains("module." + params.list()[0].name);
  const std::string prefix = checkpoint ? "model." : parallel ? "module." : "";
  std::set<std::string> known;
  for (const Param& param : params.list()) {
    const std::string name = prefix + param.name;
    const DType stored = file.at(name).dtype, wanted = dtype_of(param);
    check_fits(file, name, wanted == DType::kF32 && is_half(stored) ? stored : wanted, param.shape);
    known.insert(name);
  }
  if (!checkpoint)
    for (const StoredTensor& tensor : file.tensors())
      check(known.contains(tensor.name), "{}: tensor '{}' belongs to another network; check --arch",
            path.string(), tensor.name);
  for (int i = 0; i < static_cast<int>(params.list().size()); ++i)
    params.upload(stream, i, read_widened(file, prefix + params.list()[i].name));
}

void save_checkpoint(const std::filesystem::path& path, Stream& stream, const Params& params,
                     const Trainer& trainer, const Metadata& metadata) {
  Snapshot snapshot;
  snapshot.add_params("model.", stream, params, "weight");
  snapshot.add_params("momentum.", stream, params, "momentum");
  for (const StateArray& array : trainer.state_arrays()) {
    std::int64_t elements = 1;
    for (std::int64_t size : array.shape) elements *= size;
    std::vector<std::byte> bytes(elements * size_of(array.dtype));
    stream.download(bytes.data(), array.device_memory, bytes.size());
    stream.synchronize();
    snapshot.add("trainer." + array.name, array.dtype, array.shape, std::move(bytes));
  }
  write_safetensors(path, snapshot.tensors, metadata);
}

Metadata load_checkpoint(const std::filesystem::path& path, Stream& stream, Params& params,
                         Trainer& trainer) {
  const SafetensorsFile file(path);
  for (const Param& param : params.list()) {
    check_fits(file, "model." + param.name, dtype_of(param), param.shape);
    if (has_momentum(param)) check_fits(file, "momentum." + param.name, DType::kF32, param.shape);
  }
  for (const StateArray& array : trainer.state_arrays())
    check_fits(file, "trainer." + array.name, array.dtype, array.shape);

  for (int i = 0; i < static_cast<int>(params.list().size()); ++i) {
    const Param& param = params.list()[i];
    params.upload(stream, i, read_tensor(file, "model." + param.name));
    if (has_momentum(param))
      params.upload(stream, i, read_tensor(file, "momentum." + param.name), "momentum");
  }
  for (const StateArray& array : trainer.state_arrays()) {
    const std::vector<std::byte> bytes = read_tensor(file, "trainer." + array.name);
    stream.upload(array.device_memory, bytes.data(), bytes.size());
    stream.synchronize();
  }
  trainer.restored();
  return file.metadata();
}

}  // namespace tdds
