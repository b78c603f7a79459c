#include "engine/params.h"

#include <cmath>
#include <cstring>
#include <numbers>
#include <string_view>

#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/philox.h"
#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/stream.h"

namespace tdds {
namespace {

constexpr std::int64_t kSliceElements = 128;

bool is_trained(ParamKind kind) {
  return kind == ParamKind::kFilter || kind == ParamKind::kLinear || kind == ParamKind::kVector;
}

// The index in the stored KRSC of an element of PyTorch's KCRS.
std::int64_t stored_index(const Param& param, std::int64_t k, std::int64_t c, std::int64_t r,
                          std::int64_t s) {
  const std::int64_t size_r = param.shape[2], size_s = param.shape[3];
  return ((k * size_r + r) * size_s + s) * param.stored_channels + c;
}

template <class F>
void for_each_filter_element(const Param& param, F&& f) {
  std::int64_t i = 0;
  for (std::int64_t k = 0; k < param.shape[0]; ++k)
    for (std::int64_t c = 0; c < param.shape[1]; ++c)
      for (std::int64_t r = 0; r < param.shape[2]; ++r)
        for (std::int64_t s = 0; s < param.shape[3]; ++s) f(i++, stored_index(param, k, c, r, s));
}

double normal(std::uint64_t seed, std::uint32_t tensor, std::uint64_t element) {
  const PhiloxWords words = philox(seed, Purpose::kInit, tensor, element);
  return std::sqrt(-2.0 * std::log(unit(words.w[0]))) * std::cos(2.0 * std::numbers::pi * unit(words.w[1]));
}

std::vector<float> initial_values(const Param& param, std::uint64_t seed, std::uint32_t tensor) {
  std::vector<float> values(param.elements(), param.constant);
  if (param.kind == ParamKind::kFilter)
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(param.bound * normal(seed, tensor, i));
  if (param.kind == ParamKind::kLinear)
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] =
          static_cast<float>(param.bound * (2.0 * unit(philox(seed, Purpose::kInit, tensor, i).w[0]) - 1.0));
  return values;
}

}  // namespace

std::int64_t Param::elements() const {
  std::int64_t n = 1;
  for (std::int64_t size : shape) n *= size;
  return n;
}

int Params::add(Param param) {
  check(!memory_.data(), "Params: '{}' is declared after the parameters were placed", param.name);
  std::int64_t* total = nullptr;
  switch (param.kind) {
    case ParamKind::kFilter:
      total = &filters_.n;
      break;
    case ParamKind::kLinear:
    case ParamKind::kVector:
      total = &vectors_.n;
      break;
    case ParamKind::kRunning:
      total = &running_elements_;
      break;
    case ParamKind::kCounter:
      total = &counter_elements_;
      break;
  }
  param.offset = *total;
  *total += round_up(param.stored_elements, kSliceElements);
  list_.push_back(std::move(param));
  return static_cast<int>(list_.size()) - 1;
}

int Params::add_filter(std::string name, std::int32_t out_channels, std::int32_t channels, std::int32_t size,
                       std::int32_t stored_channels) {
  return add({.name = std::move(name),
              .shape = {out_channels, channels, size, size},
              .kind = ParamKind::kFilter,
              .stored_channels = stored_channels,
              .stored_elements = std::int64_t{out_channels} * size * size * stored_channels,
              .bound = std::sqrt(2.0 / (static_cast<double>(size) * size * out_channels))});
}

int Params::add_linear_weight(std::string name, std::int32_t out_features, std::int32_t in_features) {
  return add({.name = std::move(name),
              .shape = {out_features, in_features},
              .kind = ParamKind::kLinear,
              .stored_elements = std::int64_t{out_features} * in_features,
              .bound = 1.0 / std::sqrt(static_cast<double>(in_features))});
}

int Params::add_linear_bias(std::string name, std::int32_t out_features, std::int32_t in_features) {
  return add({.name = std::move(name),
              .shape = {out_features},
              .kind = ParamKind::kLinear,
              .stored_elements = out_features,
              .bound = 1.0 / std::sqrt(static_cast<double>(in_features))});
}

int Params::add_vector(std::string name, std::int32_t n, float value) {
  return add({.name = std::move(name),
              .shape = {n},
              .kind = ParamKind::kVector,
              .stored_elements = n,
              .constant = value});
}

int Params::add_running(std::string name, std::int32_t n, float value) {
  return add({.name = std::move(name),
              .shape = {n},
              .kind = ParamKind::kRunning,
              .stored_elements = n,
              .constant = value});
}

int Params::add_counter(std::string name) {
  return add({.name = std::move(name), .shape = {}, .kind = ParamKind::kCounter, .stored_elements = 1});
}

void Params::place(Device& device, Stream& stream, DType compute) {
  filters_.compute_type = compute;
  const bool copies = compute != DType::kF32;
  const std::size_t filter_bytes = filters_.n * sizeof(float), vector_bytes = vectors_.n * sizeof(float);
  const std::size_t typed_bytes = filters_.n * element_size(compute);
  const std::size_t total = 2 * filter_bytes + typed_bytes * (copies ? 2 : 1) + 3 * vector_bytes +
                            running_elements_ * sizeof(float) + counter_elements_ * sizeof(std::int64_t);
  memory_ = DeviceMemory(device, total, "parameters, momentum and gradients");
  std::byte* next = memory_.get<std::byte>();
  const auto take = [&](std::size_t bytes) {
    std::byte* start = next;
    next += bytes;
    return static_cast<void*>(start);
  };
  filters_.w = static_cast<float*>(take(filter_bytes));
  filters_.v = static_cast<float*>(take(filter_bytes));
  filters_.gradient = take(typed_bytes);
  filters_.compute = copies ? take(typed_bytes) : nullptr;
  vectors_.w = static_cast<float*>(take(vector_bytes));
  vectors_.v = static_cast<float*>(take(vector_bytes));
  vectors_.gradient = take(vector_bytes);
  running_ = static_cast<float*>(take(running_elements_ * sizeof(float)));
  counters_ = static_cast<std::int64_t*>(take(counter_elements_ * sizeof(std::int64_t)));
  stream.zero(memory_.data(), total);
}

std::int64_t Params::trainable() const {
  std::int64_t n = 0;
  for (const Param& param : list_)
    if (is_trained(param.kind)) n += param.elements();
  return n;
}

const void* Params::filter(int index) const {
  const std::byte* base = static_cast<const std::byte*>(filters_.compute ? filters_.compute : filters_.w);
  return base + list_[index].offset * element_size(filters_.compute_type);
}
void* Params::filter_gradient(int index) const {
  return static_cast<std::byte*>(filters_.gradient) +
         list_[index].offset * element_size(filters_.compute_type);
}
float* Params::vector(int index) const {
  return vectors_.w + list_[index].offset;
}
float* Params::vector_gradient(int index) const {
  return static_cast<float*>(vectors_.gradient) + list_[index].offset;
}
float* Params::running(int index) const {
  return running_ + list_[index].offset;
}
std::int64_t* Params::counter(int index) const {
  return counters_ + list_[index].offset;
}

void Params::initialize(Stream& stream, std::uint64_t seed) {
  stream.zero(memory_.data(), memory_.bytes());
  for (int i = 0; i < static_cast<int>(list_.size()); ++i) {
    if (list_[i].kind == ParamKind::kCounter) {
      const std::int64_t zero = 0;
      upload(stream, i, std::as_bytes(std::span(&zero, 1)));
    } else {
      const std::vector<float> values = initial_values(list_[i], seed, static_cast<std::uint32_t>(i));
      upload(stream, i, std::as_bytes(std::span(values)));
    }
  }
}

namespace {

// Converts between float32 and the compute type of filters and their gradients.
template <class T>
void widen(const std::byte* from, float* to, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    to[i] = to_float(value);
  }
}
template <class T>
void narrow(const float* from, std::byte* to, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const T value = from_float<T>(from[i]);
    std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
}

}  // namespace

std::vector<std::byte> Params::download(Stream& stream, int index, const char* which) const {
  const Param& param = list_[index];
  const std::string_view word = which;
  if (param.kind == ParamKind::kCounter) {
    std::vector<std::byte> value(sizeof(std::int64_t));
    stream.download(value.data(), counter(index), value.size());
    stream.synchronize();
    return value;
  }
  std::vector<float> stored(param.stored_elements);
  const Range& range = param.kind == ParamKind::kFilter ? filters_ : vectors_;
  if (param.kind == ParamKind::kRunning) {
    stream.download(stored.data(), running(index), stored.size() * sizeof(float));
  } else if (word == "gradient" && param.kind == ParamKind::kFilter && filters_.compute_type != DType::kF32) {
    std::vector<std::byte> typed(stored.size() * element_size(filters_.compute_type));
    stream.download(typed.data(), filter_gradient(index), typed.size());
    stream.synchronize();
    const auto convert = filters_.compute_type == DType::kF16 ? widen<half_t> : widen<bf16_t>;
    convert(typed.data(), stored.data(), stored.size());
  } else {
    const float* block = word == "weight"     ? range.w
                         : word == "momentum" ? range.v
                                              : static_cast<const float*>(range.gradient);
    stream.download(stored.data(), block + param.offset, stored.size() * sizeof(float));
  }
  stream.synchronize();
  std::vector<std::byte> bytes(param.elements() * sizeof(float));
  float* values = reinterpret_cast<float*>(bytes.data());
  if (param.kind == ParamKind::kFilter)
    for_each_filter_element(param,
                            [&](std::int64_t theirs, std::int64_t ours) { values[theirs] = stored[ours]; });
  else
    std::memcpy(values, stored.data(), bytes.size());
  return bytes;
}

void Params::upload(Stream& stream, int index, std::span<const std::byte> values, const char* which) {
  const Param& param = list_[index];
  const std::size_t item = param.kind == ParamKind::kCounter ? sizeof(std::int64_t) : sizeof(float);
  check(values.size() == param.elements() * item, "parameter '{}' has {} bytes, but {} were given",
        param.name, param.elements() * item, values.size());
  if (param.kind == ParamKind::kCounter) {
    stream.upload(counter(index), values.data(), values.size());
    stream.synchronize();
    return;
  }
  std::vector<float> stored(param.stored_elements, 0.0f);
  const float* given = reinterpret_cast<const float*>(values.data());
  if (param.kind == ParamKind::kFilter)
    for_each_filter_element(param,
                            [&](std::int64_t theirs, std::int64_t ours) { stored[ours] = given[theirs]; });
  else
    std::memcpy(stored.data(), given, values.size());
  const Range& range = param.kind == ParamKind::kFilter ? filters_ : vectors_;
  const bool momentum = std::string_view(which) == "momentum";
  float* target =
      param.kind == ParamKind::kRunning ? running(index) : (momentum ? range.v : range.w) + param.offset;
  stream.upload(target, stored.data(), stored.size() * sizeof(float));
  if (param.kind == ParamKind::kFilter && !momentum) refresh_compute_copy(stream, index, stored);
  stream.synchronize();
}

void Params::refresh_compute_copy(Stream& stream, int index, std::span<const float> stored) {
  if (!filters_.compute) return;
  std::vector<std::byte> typed(stored.size() * element_size(filters_.compute_type));
  const auto convert = filters_.compute_type == DType::kF16 ? narrow<half_t> : narrow<bf16_t>;
  convert(stored.data(), typed.data(), stored.size());
  stream.upload(
      static_cast<std::byte*>(filters_.compute) + list_[index].offset * element_size(filters_.compute_type),
      typed.data(), typed.size());
  stream.synchronize();
}

}  // namespace tdds
