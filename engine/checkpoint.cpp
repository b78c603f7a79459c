#include "engine/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <type_traits>

#include "kernels/numerics/half_convert.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

DType dtype_of(const Param& param) {
  return param.kind == ParamKind::kCounter ? DType::kI64 : DType::kF32;
}
bool has_momentum(const Param& param) {
  return param.kind != ParamKind::kRunning && param.kind != ParamKind::kCounter;
}

// The first float that a network cannot use: one that is not finite or, for a variance, is negative.
std::optional<float> first_bad(const std::vector<std::byte>& floats, bool is_variance = false) {
  for (std::size_t at = 0; at < floats.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, &floats[at], sizeof(value));
    if (!std::isfinite(value) || (is_variance && value < 0)) return value;
  }
  return std::nullopt;
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
      // Diverged weights must not replace good ones.
      check(
          dtype_of(param) != DType::kF32 || !first_bad(bytes),
          "{} is no longer finite: train with a lower `learning_rate`; the files saved before are unchanged",
          param.name);
      add(prefix + param.name, dtype_of(param), param.shape, std::move(bytes));
    }
  }
};

void check_fits(const SafetensorsFile& file, const StoredTensor& tensor, DType dtype,
                const std::vector<std::int64_t>& shape) {
  check(tensor.dtype == dtype && tensor.shape == shape,
        "{}: tensor '{}' is {} [{}], but this network needs {} [{}]; check `arch`, `width` and the data set",
        file.path().string(), tensor.name, to_string(tensor.dtype), fmt::join(tensor.shape, ", "),
        to_string(dtype), fmt::join(shape, ", "));
}

void check_values(const SafetensorsFile& file, const StoredTensor& tensor,
                  const std::vector<std::byte>& floats) {
  const bool is_variance = tensor.name.ends_with("running_var");
  const std::optional<float> bad = first_bad(floats, is_variance);
  check(!bad,
        "{}: tensor '{}' contains {} where {} is needed; use a file that was saved before that happened, or "
        "another copy",
        file.path().string(), tensor.name, bad.value_or(0),
        is_variance ? "a finite variance of at least 0" : "a finite float32");
}

std::vector<std::byte> read_tensor(const SafetensorsFile& file, const StoredTensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  file.read(tensor, bytes.data());
  if (tensor.dtype == DType::kF32) check_values(file, tensor, bytes);
  return bytes;
}

template <class T>
std::vector<std::byte> as_float32(const std::vector<std::byte>& others) {
  std::vector<std::byte> floats(others.size() / sizeof(T) * sizeof(float));
  for (std::size_t i = 0; i < others.size() / sizeof(T); ++i) {
    T other;
    std::memcpy(&other, &others[i * sizeof(T)], sizeof(T));
    float value;
    if constexpr (std::is_same_v<T, double>)
      value = static_cast<float>(other);
    else
      value = to_float(other);
    std::memcpy(&floats[i * sizeof(float)], &value, sizeof(float));
  }
  return floats;
}

// Reads a model's tensor. Floats of any width become float32.
std::vector<std::byte> read_param(const SafetensorsFile& file, const StoredTensor& tensor,
                                  const Param& param) {
  const bool converts =
      dtype_of(param) == DType::kF32 &&
      (tensor.dtype == DType::kF16 || tensor.dtype == DType::kBf16 || tensor.dtype == DType::kF64);
  check_fits(file, tensor, converts ? tensor.dtype : dtype_of(param), param.shape);
  std::vector<std::byte> bytes = read_tensor(file, tensor);
  if (tensor.dtype == DType::kF16) bytes = as_float32<half_t>(bytes);
  if (tensor.dtype == DType::kBf16) bytes = as_float32<bf16_t>(bytes);
  if (tensor.dtype == DType::kF64) bytes = as_float32<double>(bytes);
  if (converts) check_values(file, tensor, bytes);
  return bytes;
}

// The name without the components that wrappers of modules add: "module" (DataParallel), "_orig_mod"
// (torch.compile).
std::string unwrapped(const std::string& name) {
  std::string plain = "." + name;
  for (const std::string_view wrapper : {".module.", "._orig_mod."})
    for (std::size_t at; (at = plain.find(wrapper)) != std::string::npos;)
      plain.erase(at, wrapper.size() - 1);
  return plain.substr(1);
}

// A file's tensors by the network's names. For a checkpoint, only the tensors of its model.
std::map<std::string, const StoredTensor*> tensors_of_model(const SafetensorsFile& file,
                                                            const std::string& first) {
  constexpr std::string_view kModel = "model.";
  std::map<std::string, const StoredTensor*> tensors;
  const bool checkpoint =
      std::any_of(file.tensors().begin(), file.tensors().end(),
                  [&](const StoredTensor& tensor) { return unwrapped(tensor.name) == "model." + first; });
  for (const StoredTensor& tensor : file.tensors()) {
    std::string name = unwrapped(tensor.name);
    if (checkpoint && (name.starts_with("momentum.") || name.starts_with("trainer."))) continue;
    if (checkpoint && name.starts_with(kModel)) name.erase(0, kModel.size());
    const auto [same, is_new] = tensors.emplace(name, &tensor);
    check(is_new, "{}: tensors '{}' and '{}' are both '{}' of the network; keep only one of them",
          file.path().string(), same->second->name, tensor.name, name);
  }
  return tensors;
}

void check_classes(const SafetensorsFile& file, const StoredTensor& tensor, const Param& param) {
  if (param.kind != ParamKind::kLinear || tensor.shape.size() != param.shape.size()) return;
  check(tensor.shape[0] == param.shape[0],
        "{}: tensor '{}' has {} classes, but the data set has {}; use weights for that many, or draw a new "
        "last layer with `init_head` random",
        file.path().string(), tensor.name, tensor.shape[0], param.shape[0]);
}

}  // namespace

const char* to_string(Head head) {
  return head == Head::kFile ? "file" : "random";
}

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

void load_model(const std::filesystem::path& path, Stream& stream, Params& params, Head head) {
  const SafetensorsFile file(path);
  std::map<std::string, const StoredTensor*> tensors = tensors_of_model(file, params.list()[0].name);
  std::vector<std::vector<std::byte>> values;  // by parameter; empty: the network keeps its own
  for (const Param& param : params.list()) {
    const auto node = tensors.extract(param.name);
    values.emplace_back();
    if (head == Head::kRandom && param.kind == ParamKind::kLinear) continue;
    if (node.empty() && param.kind == ParamKind::kCounter) {  // absent in files of older PyTorch
      values.back().resize(sizeof(std::int64_t));
      continue;
    }
    check(!node.empty(), "{} has no tensor called {}", path.string(), param.name);
    check_classes(file, *node.mapped(), param);
    values.back() = read_param(file, *node.mapped(), param);
  }
  check(tensors.empty(), "{}: tensor '{}' belongs to another network; check `arch`", path.string(),
        tensors.empty() ? "" : tensors.begin()->second->name);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!values[i].empty()) params.upload(stream, static_cast<int>(i), values[i]);
}

void save_checkpoint(const std::filesystem::path& path, Stream& stream, const Params& params,
                     const Trainer& trainer, const Metadata& metadata) {
  Snapshot snapshot;
  snapshot.add_params("model.", stream, params, "weight");
  snapshot.add_params("momentum.", stream, params, "momentum");
  for (const StateArray& array : trainer.state_arrays()) {
    std::int64_t elements = 1;
    for (std::int64_t size : array.shape) elements *= size;
    std::vector<std::byte> bytes(elements * element_size(array.dtype));
    stream.download(bytes.data(), array.device_memory, bytes.size());
    stream.synchronize();
    snapshot.add("trainer." + array.name, array.dtype, array.shape, std::move(bytes));
  }
  write_safetensors(path, snapshot.tensors, metadata);
}

Metadata load_checkpoint(const std::filesystem::path& path, Stream& stream, Params& params,
                         Trainer& trainer) {
  const SafetensorsFile file(path);
  std::vector<std::vector<std::byte>> values;
  const auto take = [&](const std::string& name, DType dtype, const std::vector<std::int64_t>& shape) {
    check_fits(file, file.at(name), dtype, shape);
    values.push_back(read_tensor(file, file.at(name)));
  };
  for (const Param& param : params.list()) {
    take("model." + param.name, dtype_of(param), param.shape);
    if (has_momentum(param)) take("momentum." + param.name, DType::kF32, param.shape);
  }
  for (const StateArray& array : trainer.state_arrays())
    take("trainer." + array.name, array.dtype, array.shape);

  auto next = values.begin();
  for (int i = 0; i < static_cast<int>(params.list().size()); ++i) {
    params.upload(stream, i, *next++);
    if (has_momentum(params.list()[i])) params.upload(stream, i, *next++, "momentum");
  }
  for (const StateArray& array : trainer.state_arrays()) {
    stream.upload(array.device_memory, next->data(), next->size());
    ++next;
  }
  stream.synchronize();
  trainer.restored();
  return file.metadata();
}

}  // namespace tdds
