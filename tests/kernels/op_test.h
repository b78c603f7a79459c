#pragma once
// The fixture of the op tests. A test runs on every device of this build, on a stream that executes nothing
// before synchronize(), in memory filled with 0xFF (as float: NaN). So the tests detect results that are read
// too early, host buffers that are reused too soon, and memory that is read before it is written.
//
// download() also checks that nothing was written behind a buffer.
//
//   struct SgdTest : OpTest {};
//   TEST_P(SgdTest, Name) { auto x = upload({1, 2, 3}); ... sgd(stream(), {...}); ... download(x) ... }
//   INSTANTIATE_TEST_SUITE_P(Devices, SgdTest, testing::ValuesIn(every_device()), name_of_case);
//
// Tests of a device that is not available are skipped; with TDDS_REQUIRE_GPU=1 those of `cuda` fail instead.

#include <gtest/gtest.h>
#include <omp.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/philox.h"
#include "kernels/ops/step_state.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"
#include "kernels/runtime/stream.h"
#include "kernels/runtime/tensor_view.h"
#include "tests/device_or_skip.h"
#include "tests/kernels/bounded_memory.h"

namespace tdds::test {

struct OpCase {
  DeviceKind device = DeviceKind::kCpu;
  DType dtype = DType::kF32;  // of the activations
};

// The devices, for ops that know only fp32.
inline std::vector<OpCase> every_device() {
  return {{DeviceKind::kCpu}, {DeviceKind::kSimt}, {DeviceKind::kCuda}};
}

// The devices with the element types that they support.
inline std::vector<OpCase> every_device_and_type() {
  return {{DeviceKind::kCpu, DType::kF32},   {DeviceKind::kCpu, DType::kBf16},
          {DeviceKind::kSimt, DType::kF32},  {DeviceKind::kSimt, DType::kF16},
          {DeviceKind::kSimt, DType::kBf16}, {DeviceKind::kCuda, DType::kF32},
          {DeviceKind::kCuda, DType::kF16},  {DeviceKind::kCuda, DType::kBf16}};
}

inline std::string name_of_case(const testing::TestParamInfo<OpCase>& info) {
  return std::string(tdds::to_string(info.param.device)) + "_" + tdds::to_string(info.param.dtype);
}

// The relative error of rounding to the type: half a unit in the last place.
inline double unit_roundoff(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return std::ldexp(1.0, -24);
    case DType::kF16:
      return std::ldexp(1.0, -11);
    case DType::kBf16:
      return std::ldexp(1.0, -8);
    default:
      throw Error("unit_roundoff: not a floating-point type of the activations");
  }
}

// Tolerance of an element that is computed in fp32 from values of `dtype` and rounded to it once: a few fp32
// roundings (`fp32_steps`, the length of the chain in the formula) and one of the type itself, relative to
// `scale`.
inline double tolerance(DType dtype, double scale, double fp32_steps = 8) {
  const double storage = dtype == DType::kF32 ? 0 : unit_roundoff(dtype);
  return scale * (storage + fp32_steps * unit_roundoff(DType::kF32));
}

// The value after rounding to the type, to nearest even.
inline float rounded_to(DType dtype, float value) {
  if (dtype == DType::kF32) return value;
  if (dtype == DType::kF16) return to_float(from_float<half_t>(value));
  return to_float(from_float<bf16_t>(value));
}

// Reproducible values, normally distributed with the given mean and standard deviation.
inline std::vector<float> random_values(std::size_t n, std::uint64_t seed, double mean = 0, double std = 1) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    const PhiloxWords bits = philox(seed, Purpose::kTest, 0, i);
    const double radius = std::sqrt(-2 * std::log(unit(bits.w[0])));
    values[i] = static_cast<float>(mean + std * radius * std::cos(2 * M_PI * unit(bits.w[1])));
  }
  return values;
}

inline std::vector<double> as_double(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

inline StepState state_at(std::int64_t step, std::int64_t cursor, std::int32_t epoch) {
  StepState state{};
  state.step = step;
  state.cursor = cursor;
  state.epoch = epoch;
  return state;
}

// Holds `n` elements of T in the memory of a device.
template <class T>
struct Buffer {
  BoundedMemory memory;
  std::size_t n = 0;

  T* data() const { return memory.get<T>(); }
  operator T*() const { return data(); }
};

// Holds `n` activations of the case's type.
struct TypedBuffer {
  BoundedMemory memory;
  std::size_t n = 0;
  DType dtype = DType::kF32;

  void* data() const { return memory.data(); }
  operator void*() const { return data(); }
};

class OpTest : public testing::TestWithParam<OpCase> {
 protected:
  void SetUp() override {
    device_ = device_or_skip(GetParam().device);
    if (!device_) return;
    stream_ = device_->make_stream(StreamMode::kDeferred);
  }

  Device& device() { return *device_; }
  Stream& stream() { return *stream_; }
  DType dtype() const { return GetParam().dtype; }
  bool is_cpu() const { return GetParam().device == DeviceKind::kCpu; }

  // Memory that has not been written: all bytes are 0xFF.
  template <class T>
  Buffer<T> empty(std::size_t n) {
    return {{*device_, n * sizeof(T)}, n};
  }
  TypedBuffer empty_typed(std::size_t n) { return {{*device_, n * element_size(dtype())}, n, dtype()}; }

  // Uploads are complete when these return.
  template <class T>
  Buffer<T> upload(const std::vector<T>& values) {
    Buffer<T> buffer = empty<T>(values.size());
    stream_->upload(buffer.data(), values.data(), values.size() * sizeof(T));
    stream_->synchronize();
    return buffer;
  }
  TypedBuffer upload_typed(const std::vector<float>& values) {
    TypedBuffer buffer = empty_typed(values.size());
    std::vector<std::byte> bytes(values.size() * element_size(dtype()));
    const auto store = [&](std::size_t i, auto value) {
      std::memcpy(&bytes[i * sizeof(value)], &value, sizeof(value));
    };
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (dtype() == DType::kF32) store(i, values[i]);
      if (dtype() == DType::kF16) store(i, from_float<half_t>(values[i]));
      if (dtype() == DType::kBf16) store(i, from_float<bf16_t>(values[i]));
    }
    stream_->upload(buffer.data(), bytes.data(), bytes.size());
    stream_->synchronize();
    return buffer;
  }

  // Runs what is queued, then reads.
  template <class T>
  std::vector<T> download(const Buffer<T>& buffer) {
    buffer.memory.expect_unwritten_behind(*stream_);
    return download(buffer.data(), buffer.n);
  }
  template <class T>
  std::vector<T> download(const T* memory, std::size_t n) {
    std::vector<T> values(n);
    stream_->download(values.data(), memory, n * sizeof(T));
    stream_->synchronize();
    return values;
  }
  std::vector<float> download(const TypedBuffer& buffer) {
    buffer.memory.expect_unwritten_behind(*stream_);
    std::vector<std::byte> bytes(buffer.n * element_size(buffer.dtype));
    stream_->download(bytes.data(), buffer.data(), bytes.size());
    stream_->synchronize();
    const auto load = [&](std::size_t i, auto value) {
      std::memcpy(&value, &bytes[i * sizeof(value)], sizeof(value));
      return to_float(value);
    };
    std::vector<float> values(buffer.n);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = buffer.dtype == DType::kF32   ? load(i, float{})
                  : buffer.dtype == DType::kF16 ? load(i, half_t{})
                                                : load(i, bf16_t{});
    return values;
  }

  // `values` rounded to the case's type: the input of a reference computation.
  std::vector<float> rounded(std::vector<float> values) const {
    for (float& value : values) value = rounded_to(dtype(), value);
    return values;
  }

 private:
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
};

// Sets the number of OpenMP threads while this object exists.
class ThreadCount {
 public:
  explicit ThreadCount(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

// Expects every element of `got` to be finite and within atol + rtol * |want|.
template <class Got, class Want>
void expect_near(const std::vector<Got>& got, const std::vector<Want>& want, double atol, double rtol = 0,
                 std::string_view what = "") {
  ASSERT_EQ(got.size(), want.size()) << what;
  std::size_t wrong = 0, first = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double bound = atol + rtol * std::abs(static_cast<double>(want[i]));
    // In this form a NaN is an error.
    if (std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])) <= bound) continue;
    if (wrong++ == 0) first = i;
  }
  EXPECT_EQ(wrong, 0u) << what << ": of " << got.size() << " elements; the first at " << first << ": got "
                       << +got[first] << ", want " << +want[first];
}

// The gradient of `loss` at `x` by central differences, in double. With steps of 1e-5 and values near 1, the
// error for a smooth loss is about 1e-10 of its size; a wrong factor is far larger.
inline std::vector<double> numeric_gradient(const std::function<double(const std::vector<double>&)>& loss,
                                            std::vector<double> x) {
  std::vector<double> gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i], h = 1e-5;
    x[i] = at + h;
    const double above = loss(x);
    x[i] = at - h;
    const double below = loss(x);
    x[i] = at;
    gradient[i] = (above - below) / (2 * h);
  }
  return gradient;
}

inline double dot(const std::vector<double>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace tdds::test
