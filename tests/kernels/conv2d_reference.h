#pragma once
// Shared by the convolution tests: convolution by its definition in double, and running a plan once on host
// data.

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/numerics/half_convert.h"
#include "kernels/ops/conv2d.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"
#include "tests/kernels/bounded_memory.h"

namespace tdds::test {

inline std::size_t x_elements(const Conv2dSpec& s) {
  return std::size_t{1} * s.batch * s.height * s.width * s.channels;
}
inline std::size_t w_elements(const Conv2dSpec& s) {
  return std::size_t{1} * s.out_channels * s.filter_h * s.filter_w * s.channels;
}
inline std::size_t y_elements(const Conv2dSpec& s) {
  return std::size_t{1} * s.batch * s.out_height() * s.out_width() * s.out_channels;
}

inline std::string text(const Conv2dSpec& s) {
  return fmt::format("{}, x [{},{},{},{}], w [{},{},{},{}], stride {}, padding {}", to_string(s.dtype),
                     s.batch, s.height, s.width, s.channels, s.out_channels, s.filter_h, s.filter_w,
                     s.channels, s.stride, s.padding);
}

inline std::vector<float> random_values(std::size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(generator);
  return values;
}

// Calls visit(x index, w index, y index) for every product of the definition.
template <class Visit>
void for_each_product(const Conv2dSpec& s, const Visit& visit) {
  const std::int64_t p_end = s.out_height(), q_end = s.out_width();
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t p = 0; p < p_end; ++p)
      for (std::int64_t q = 0; q < q_end; ++q)
        for (std::int64_t r = 0; r < s.filter_h; ++r)
          for (std::int64_t t = 0; t < s.filter_w; ++t) {
            const std::int64_t h = p * s.stride + r - s.padding, w = q * s.stride + t - s.padding;
            if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
            for (std::int64_t k = 0; k < s.out_channels; ++k)
              for (std::int64_t c = 0; c < s.channels; ++c)
                visit(((b * s.height + h) * s.width + w) * s.channels + c,
                      ((k * s.filter_h + r) * s.filter_w + t) * s.channels + c,
                      ((b * p_end + p) * q_end + q) * s.out_channels + k);
          }
}

struct Conv2dData {
  std::vector<float> x, w, dy;
};

inline Conv2dData random_data(const Conv2dSpec& s, unsigned seed) {
  return {random_values(x_elements(s), seed), random_values(w_elements(s), seed + 1),
          random_values(y_elements(s), seed + 2)};
}

// Converts `values` to fp32 or bf16 memory of a device, and back.
inline std::vector<std::byte> stored(DType dtype, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * element_size(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bf16_t narrow = from_float<bf16_t>(values[i]);
    std::memcpy(&bytes[i * element_size(dtype)],
                dtype == DType::kF32 ? static_cast<const void*>(&values[i]) : &narrow, element_size(dtype));
  }
  return bytes;
}
inline std::vector<float> widened(DType dtype, const std::vector<std::byte>& bytes) {
  std::vector<float> values(bytes.size() / element_size(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    bf16_t narrow{};
    std::memcpy(dtype == DType::kF32 ? static_cast<void*>(&values[i]) : &narrow,
                &bytes[i * element_size(dtype)], element_size(dtype));
    if (dtype != DType::kF32) values[i] = to_float(narrow);
  }
  return values;
}

// The data rounded to the type that a device computes with.
inline Conv2dData rounded(DType dtype, const Conv2dData& data) {
  const auto round = [&](const std::vector<float>& values) { return widened(dtype, stored(dtype, values)); };
  return {round(data.x), round(data.w), round(data.dy)};
}

struct Reference {
  std::vector<double> y, dx, dw;
};

inline Reference reference(const Conv2dSpec& s, const Conv2dData& data) {
  Reference result{std::vector<double>(y_elements(s)), std::vector<double>(x_elements(s)),
                   std::vector<double>(w_elements(s))};
  for_each_product(s, [&](std::int64_t x, std::int64_t w, std::int64_t y) {
    result.y[y] += double{data.x[x]} * data.w[w];
    result.dx[x] += double{data.dy[y]} * data.w[w];
    result.dw[w] += double{data.dy[y]} * data.x[x];
  });
  return result;
}

// norm(got - wanted) / norm(wanted); infinite if a value is not finite.
inline double norm_error(const std::vector<float>& got, const std::vector<double>& wanted) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!std::isfinite(got[i])) return INFINITY;
    difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
    norm += wanted[i] * wanted[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

struct Conv2dResult {
  std::vector<float> y, dx, dw;
  std::string description;
};

struct RunOptions {
  StreamMode mode = StreamMode::kImmediate;
  bool recorded = false;          // record the three calls, then replay them
  const float* add_to = nullptr;  // the values of dx before an accumulating backward_data
};

inline Conv2dResult run_conv2d(Device& device, const Conv2dSpec& spec, const Conv2dData& data,
                               const RunOptions& options = {}) {
  const auto plan = make_conv2d(device, spec);
  const auto stream = device.make_stream(options.mode);
  const auto memory = [&](std::size_t n) { return BoundedMemory(device, n * element_size(spec.dtype)); };
  const auto upload = [&](const BoundedMemory& to, const float* values) {
    const std::vector<std::byte> bytes =
        stored(spec.dtype, {values, values + to.bytes() / element_size(spec.dtype)});
    stream->upload(to.data(), bytes.data(), bytes.size());
    stream->synchronize();
  };
  const auto download = [&](const BoundedMemory& from) {
    from.expect_unwritten_behind(*stream);
    std::vector<std::byte> bytes(from.bytes());
    stream->download(bytes.data(), from.data(), bytes.size());
    stream->synchronize();
    return widened(spec.dtype, bytes);
  };
  const BoundedMemory x = memory(data.x.size()), w = memory(data.w.size()), dy = memory(data.dy.size());
  const BoundedMemory y = memory(data.dy.size()), dx = memory(data.x.size()), dw = memory(data.w.size());
  const BoundedMemory workspace(device, plan->workspace_bytes());
  upload(x, data.x.data());
  upload(w, data.w.data());
  upload(dy, data.dy.data());
  if (options.add_to) upload(dx, options.add_to);

  const auto body = [&] {
    plan->forward(*stream, x.data(), w.data(), y.data(), workspace.data());
    if (!spec.backward) return;
    plan->backward_data(*stream, dy.data(), w.data(), dx.data(), options.add_to != nullptr, workspace.data());
    plan->backward_filter(*stream, x.data(), dy.data(), dw.data(), workspace.data());
  };
  std::unique_ptr<Recording> recording;
  if (options.recorded) {
    recording = stream->record(body);
    stream->replay(*recording);
  } else {
    body();
  }

  workspace.expect_unwritten_behind(*stream);
  return {download(y), download(dx), download(dw), plan->description()};
}

// Random shapes: odd sizes, few channels, maps down to 1x1, sometimes the 3 channels of a stem.
inline Conv2dSpec random_spec(std::mt19937& generator, std::int32_t filter, std::int32_t stride) {
  const auto pick = [&](std::int32_t low, std::int32_t high) {
    return std::uniform_int_distribution<std::int32_t>(low, high)(generator);
  };
  return {.batch = pick(1, 4),
          .height = pick(1, 11),
          .width = pick(1, 11),
          .channels = pick(0, 3) == 0 ? 3 : pick(1, 40),
          .out_channels = pick(1, 40),
          .filter_h = filter,
          .filter_w = filter,
          .stride = stride,
          .padding = filter / 2};
}

}  // namespace tdds::test
