#pragma once
// Memory for one run of an op on a host device, and the results. Buffers have their exact size, so that
// AddressSanitizer detects every access past the end.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/numerics/half_convert.h"
#include "kernels/simt/schedule.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {

struct Output {
  std::string name;
  DType dtype;
  std::vector<std::byte> bytes;

  double value(std::size_t i) const {
    const std::byte* at = &bytes[i * element_size(dtype)];
    const auto read = [&](auto zero) {
      std::memcpy(&zero, at, sizeof(zero));
      return zero;
    };
    switch (dtype) {
      case DType::kF16:
        return to_float(read(half_t{}));
      case DType::kBf16:
        return to_float(read(bf16_t{}));
      case DType::kF64:
        return read(double{});
      case DType::kI32:
        return read(std::int32_t{});
      case DType::kI64:
        return static_cast<double>(read(std::int64_t{}));
      case DType::kU8:
        return read(std::uint8_t{});
      default:
        return read(float{});
    }
  }
  std::size_t count() const { return bytes.size() / element_size(dtype); }
};

// Memory for one run of an op on a host device.
class Rig {
 public:
  Rig(DeviceKind kind, std::byte fill) : fill_(fill), device_(make_device(kind)) {
    stream_ = device_->make_stream(StreamMode::kDeferred);
  }

  Stream& stream() { return *stream_; }

  template <class T>
  T* in(const std::vector<T>& values) {
    T* memory = static_cast<T*>(scratch(values.size() * sizeof(T)));
    std::memcpy(memory, values.data(), values.size() * sizeof(T));
    return memory;
  }
  void* typed(DType dtype, const std::vector<float>& values) {
    auto* memory = static_cast<std::byte*>(scratch(values.size() * element_size(dtype)));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const half_t half = from_float<half_t>(values[i]);
      const bf16_t bfloat = from_float<bf16_t>(values[i]);
      const void* from = &values[i];
      if (dtype == DType::kF16) from = &half;
      if (dtype == DType::kBf16) from = &bfloat;
      std::memcpy(memory + i * element_size(dtype), from, element_size(dtype));
    }
    return memory;
  }
  StepState* state(std::int64_t step, std::int64_t cursor, std::int32_t epoch) {
    return in<StepState>({state_at(step, cursor, epoch)});
  }
  void* scratch(std::size_t bytes) {
    memory_.push_back(std::make_unique<std::vector<std::byte>>(bytes, fill_));
    return memory_.back()->data();
  }

  // Memory whose contents are compared after the run. The op writes all of its elements.
  template <class T = float>
  T* out(const std::string& name, std::size_t n, DType dtype = DType::kF32) {
    void* memory = scratch(n * element_size(dtype));
    watch(name, memory, n, dtype);
    return static_cast<T*>(memory);
  }
  void watch(const std::string& name, const void* memory, std::size_t n, DType dtype = DType::kF32) {
    watched_.push_back({name, dtype, static_cast<const std::byte*>(memory), n * element_size(dtype)});
  }

  std::vector<Output> results() {
    stream_->synchronize();
    std::vector<Output> outputs;
    for (const Watched& w : watched_) outputs.push_back({w.name, w.dtype, {w.memory, w.memory + w.bytes}});
    return outputs;
  }

 private:
  struct Watched {
    std::string name;
    DType dtype;
    const std::byte* memory;
    std::size_t bytes;
  };
  std::byte fill_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> memory_;
  std::vector<Watched> watched_;
};

inline constexpr std::byte kNaNFill{0xFF};

using RigRun = std::function<void(Rig&)>;

inline std::vector<Output> results_of(const RigRun& run, DeviceKind kind, std::byte fill = kNaNFill,
                                      simt::Schedule schedule = {}) {
  const simt::ScheduleScope scope(schedule);
  Rig rig(kind, fill);
  run(rig);
  return rig.results();
}

// Expects that the results on simt are finite and have the same bits for every order of threads and blocks
// and every previous content of memory.
inline void expect_equal_bits(const RigRun& run, const std::string& what) {
  using Order = simt::Schedule::Order;
  constexpr std::byte kZero{0}, kSmall{0x3C};
  const std::pair<simt::Schedule, std::byte> others[] = {{{Order::kReversed}, kNaNFill},
                                                         {{Order::kShuffled, 5}, kZero},
                                                         {{Order::kShuffled, 6}, kSmall},
                                                         {{Order::kForward}, kZero}};
  const std::vector<Output> first = results_of(run, DeviceKind::kSimt);
  for (const Output& output : first)
    for (std::size_t i = 0; i < output.count(); ++i)
      ASSERT_TRUE(std::isfinite(output.value(i))) << output.name << "[" << i << "], " << what;
  for (const auto& [schedule, fill] : others) {
    const std::vector<Output> again = results_of(run, DeviceKind::kSimt, fill, schedule);
    ASSERT_EQ(first.size(), again.size());
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_EQ(first[i].bytes, again[i].bytes)
          << first[i].name << ", " << what << ", order " << static_cast<int>(schedule.order);
  }
}

}  // namespace tdds::test
