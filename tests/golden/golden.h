#pragma once
// Reads the fixtures that make_goldens.py writes, and computes the values that both sides compute by formula.
// The header of make_goldens.py has the names, the layouts and the formulas.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/safetensors.h"
#include "engine/params.h"
#include "kernels/numerics/philox.h"
#include "tests/paths.h"

namespace tdds::test {

class Golden {
 public:
  explicit Golden(const std::string& name) : file_(golden_path(name + ".safetensors")) {}

  bool contains(const std::string& name) const { return file_.contains(name); }
  const std::vector<std::int64_t>& shape(const std::string& name) const { return file_.at(name).shape; }
  const SafetensorsFile& file() const { return file_; }

  std::vector<float> floats(const std::string& name) const { return read<float>(name, DType::kF32); }
  std::vector<double> doubles(const std::string& name) const { return read<double>(name, DType::kF64); }
  std::vector<std::int64_t> ints(const std::string& name) const {
    return read<std::int64_t>(name, DType::kI64);
  }

 private:
  template <class T>
  std::vector<T> read(const std::string& name, DType dtype) const {
    const StoredTensor& tensor = file_.at(name);
    std::vector<T> values(tensor.bytes / sizeof(T));
    file_.read(name, dtype, tensor.shape, values.data());
    return values;
  }

  SafetensorsFile file_;
};

// Dimensions 1, 2, 3 of [a,b,c,d] become 2, 3, 1: PyTorch's NCHW to NHWC, and KCRS to KRSC.
inline std::vector<float> channels_last(std::span<const float> values, std::span<const std::int64_t> shape) {
  std::vector<float> out(values.size());
  const std::int64_t channels = shape[1], positions = shape[2] * shape[3];
  for (std::int64_t n = 0; n < shape[0]; ++n)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t p = 0; p < positions; ++p)
        out[(n * positions + p) * channels + c] = values[(n * channels + c) * positions + p];
  return out;
}

// || values - golden || / || golden ||.
inline double distance(std::span<const float> values, std::span<const float> golden) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const double d = static_cast<double>(values[i]) - golden[i];
    difference += d * d;
    norm += static_cast<double>(golden[i]) * golden[i];
  }
  return values.size() == golden.size() ? std::sqrt(difference / norm) : HUGE_VAL;
}

namespace counter {

constexpr std::uint64_t kSeed = 2024;

inline std::uint32_t word(std::uint32_t epoch, std::uint64_t index) {
  return philox(kSeed, Purpose::kTest, epoch, index).w[0];
}
inline double signed_unit(std::uint32_t epoch, std::uint64_t index) {
  return 2.0 * unit(word(epoch, index)) - 1.0;
}

// Batch `number` in NCHW, and its labels.
inline std::vector<float> input(std::int64_t number, std::size_t elements) {
  std::vector<float> values(elements);
  const double scale = std::sqrt(3.0);
  for (std::size_t i = 0; i < elements; ++i)
    values[i] = static_cast<float>(signed_unit(static_cast<std::uint32_t>(1000 + number), i) * scale);
  return values;
}
inline std::vector<std::int32_t> labels(std::int64_t number, std::size_t images, std::uint32_t classes) {
  std::vector<std::int32_t> values(images);
  for (std::size_t i = 0; i < images; ++i)
    values[i] =
        static_cast<std::int32_t>(scaled(word(static_cast<std::uint32_t>(2000 + number), i), classes));
  return values;
}

// A trained parameter in PyTorch's layout. `place` is the number of trained parameters before it. `last_norm`
// is the name of the last batch norm of a block: "bn2" or "bn3".
inline std::vector<float> weights(const Param& param, std::uint32_t place, std::string_view last_norm) {
  const bool is_bias = param.name.ends_with("bias");
  const bool damped = param.name.starts_with("layer") && param.kind == ParamKind::kVector &&
                      param.name.find(last_norm) != std::string::npos;
  std::vector<float> values(param.elements());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double s = signed_unit(place, i);
    double value = 0;
    if (param.kind == ParamKind::kFilter) value = s * (std::sqrt(3.0) * param.bound);
    if (param.kind == ParamKind::kLinear) value = s * param.bound;
    if (param.kind == ParamKind::kVector) {
      const double constant = is_bias ? (i % 2 == 1 ? 1.5 : -1.5) : 1.0;
      value = (s * 0.125 + constant) * (damped ? 0.25 : 1.0);
    }
    values[i] = static_cast<float>(value);
  }
  return values;
}

// [norm, 8 projections, 256 entries] of a parameter's tensor.
inline std::vector<float> summary(std::span<const float> values, std::uint32_t place) {
  constexpr int kProjections = 8, kEntries = 256;
  double squares = 0, projections[kProjections] = {};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t bits = word(4000 + place, i);
    squares += static_cast<double>(values[i]) * values[i];
    for (int j = 0; j < kProjections; ++j) projections[j] += (bits >> j & 1u) ? values[i] : -values[i];
  }
  std::vector<float> out{static_cast<float>(std::sqrt(squares))};
  out.insert(out.end(), std::begin(projections), std::end(projections));
  for (int m = 0; m < kEntries; ++m)
    out.push_back(values[scaled(word(5000 + place, m), static_cast<std::uint32_t>(values.size()))]);
  return out;
}

// The distances of the norm, of the projections (relative to the norm) and of the entries, as the yardstick
// measures them.
inline std::vector<double> summary_distance(std::span<const float> values, std::span<const float> golden) {
  const double norm = golden[0];
  double squares = 0;
  for (int j = 1; j <= 8; ++j) squares += std::pow(static_cast<double>(values[j]) - golden[j], 2);
  return {std::abs(values[0] - norm) / norm, std::sqrt(squares / 8) / norm,
          distance(values.subspan(9), golden.subspan(9))};
}

}  // namespace counter
}  // namespace tdds::test
