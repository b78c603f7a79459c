#include "bench/matrix_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/numerics/half_convert.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/device.h"

namespace tdds {
namespace {

constexpr std::size_t kSide = kMatrixSide, kElements = kMatrixElements;

// Small integers without symmetry: every sum of products is exact, in any order.
std::vector<float> integers(std::size_t multiplier) {
  std::vector<float> values(kElements);
  for (std::size_t i = 0; i < kElements; ++i)
    values[i] = static_cast<float>((i * multiplier + i / kSide) % 17) - 8;
  return values;
}

template <class T>
std::vector<T> rounded(const std::vector<float>& values) {
  std::vector<T> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), from_float<T>);
  return result;
}

// One buffer of the probe on the device.
template <class T>
class Buffer {
 public:
  Buffer(Stream& stream, std::size_t n)
      : stream_(stream), memory_(stream.device(), n * sizeof(T), "a matrix"), n_(n) {}
  Buffer(Stream& stream, const std::vector<T>& values) : Buffer(stream, values.size()) {
    stream.upload(memory_.data(), values.data(), values.size() * sizeof(T));
  }
  T* get() const { return memory_.get<T>(); }
  std::vector<T> values() const {
    std::vector<T> host(n_);
    stream_.download(host.data(), memory_.data(), n_ * sizeof(T));
    stream_.synchronize();
    return host;
  }

 private:
  Stream& stream_;
  DeviceMemory memory_;
  std::size_t n_;
};

// Compares rows of `columns` values with those of a wider matrix.
template <class T>
std::string verdict(const std::vector<T>& got, std::size_t first, const std::vector<float>& expected,
                    std::size_t columns = kSide) {
  std::size_t wrong = 0;
  std::string where;
  for (std::size_t i = 0; i < kSide * columns; ++i) {
    const std::size_t row = i / columns, column = i % columns;
    const float value = to_float(got[first + i]), right = expected[row * kSide + column];
    if (value == right) continue;
    if (wrong++ == 0) where = fmt::format("({}, {}) is {} and not {}", row, column, value, right);
  }
  return wrong == 0 ? "right" : fmt::format("{} of {} wrong; {}", wrong, kSide * columns, where);
}

template <class T>
nlohmann::ordered_json check(Stream& stream) {
  const std::vector<float> a = integers(5), b = integers(7), c = integers(3);
  std::vector<float> product = c;
  for (std::size_t row = 0; row < kSide; ++row)
    for (std::size_t column = 0; column < kSide; ++column)
      for (std::size_t k = 0; k < kSide; ++k)
        product[row * kSide + column] += a[row * kSide + k] * b[k * kSide + column];

  const Buffer<T> on_a(stream, rounded<T>(a)), on_b(stream, rounded<T>(b));
  const Buffer<float> on_c(stream, c), from_registers(stream, kElements / 2), from_shared(stream, kElements);
  const Buffer<T> loaded(stream, 3 * kElements), copied(stream, 2 * kElements);
  const Buffer<std::uint32_t> base(stream, 1);
  const MatrixProbe<T> probe{on_a.get(),        on_b.get(),   on_c.get(),   from_registers.get(),
                             from_shared.get(), loaded.get(), copied.get(), base.get()};
  if (stream.device().kind() == DeviceKind::kCuda)
    cuda::run(stream, probe);
  else
    simt::run(stream, probe);
  const std::uint32_t offset = base.values()[0];
  return {{"mma", verdict(from_registers.values(), 0, product, kSide / 2)},
          {"load_matrix_a", verdict(loaded.values(), 0, a)},
          {"load_matrix_b", verdict(loaded.values(), kElements, b)},
          {"load_matrix_b_transposed", verdict(loaded.values(), 2 * kElements, b)},
          {"mma_of_loaded", verdict(from_shared.values(), 0, product)},
          {"copy_async_first_group", verdict(copied.values(), 0, a)},
          {"copy_async_second_group", verdict(copied.values(), kElements, b)},
          {"shared_alignment", offset == 0 ? "right" : fmt::format("{} bytes beyond 1024", offset)}};
}

}  // namespace

nlohmann::ordered_json check_tensor_cores(Stream& stream) {
  return {{"fp16", check<half_t>(stream)}, {"bf16", check<bf16_t>(stream)}};
}

bool all_right(const nlohmann::ordered_json& checked) {
  return std::all_of(checked.begin(), checked.end(), [](const auto& type) {
    return std::all_of(type.begin(), type.end(), [](const auto& verdict) { return verdict == "right"; });
  });
}

}  // namespace tdds
