#include "engine/params.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/numerics/half_convert.h"
#include "tests/engine/small_run.h"

namespace tdds {
namespace {

using namespace test;

std::vector<float> floats(const std::vector<std::byte>& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// A value of the type at `bytes`.
float value_at(const std::byte* bytes, DType dtype) {
  const auto read = [&](auto value) {
    std::memcpy(&value, bytes, sizeof(value));
    return to_float(value);
  };
  if (dtype == DType::kF16) return read(half_t{});
  if (dtype == DType::kBf16) return read(bf16_t{});
  return read(float{});
}

float rounded(float value, DType dtype) {
  if (dtype == DType::kF16) return to_float(from_float<half_t>(value));
  if (dtype == DType::kBf16) return to_float(from_float<bf16_t>(value));
  return value;
}

// A parameter of each kind, with sizes that no alignment divides.
struct Declared {
  Params params;
  int stem = params.add_filter("conv1.weight", 5, 3, 3, 8);  // 3 channels stored as 8
  int weight = params.add_vector("bn1.weight", 5, 1);
  int bias = params.add_vector("bn1.bias", 5, 0);
  int mean = params.add_running("bn1.running_mean", 5, 0);
  int variance = params.add_running("bn1.running_var", 5, 1);
  int tracked = params.add_counter("bn1.num_batches_tracked");
  int wide = params.add_filter("conv2.weight", 64, 16, 3, 16);
  int same = params.add_filter("conv3.weight", 64, 16, 3, 16);
  int linear = params.add_linear_weight("fc.weight", 100, 64);
  int linear_bias = params.add_linear_bias("fc.bias", 100, 64);
};

class ParamsTest : public testing::TestWithParam<DType> {
 protected:
  ParamsTest() { params().place(*device_, *stream_, GetParam()); }

  Params& params() { return declared_.params; }
  Stream& stream() { return *stream_; }
  std::vector<float> get(int index, const char* which = "weight") {
    return floats(params().download(stream(), index, which));
  }
  void set(int index, const std::vector<float>& values, const char* which = "weight") {
    params().upload(stream(), index, std::as_bytes(std::span(values)), which);
  }
  // 1, 2, 3, ..: all different, and exact in every type.
  std::vector<float> numbered(int index) {
    std::vector<float> values(static_cast<std::size_t>(params().list()[index].elements()));
    std::iota(values.begin(), values.end(), 1.0f);
    return values;
  }

  std::unique_ptr<Device> device_ = make_device(DeviceKind::kCpu);
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamMode::kImmediate);
  Declared declared_;
};

TEST_P(ParamsTest, SlicesStartAt256BytesAndDoNotOverlap) {
  const Declared& d = declared_;
  const void* slices[] = {params().filter(d.stem),
                          params().filter(d.wide),
                          params().filter_gradient(d.wide),
                          params().vector(d.weight),
                          params().vector(d.bias),
                          params().vector_gradient(d.bias),
                          params().vector(d.linear),
                          params().vector(d.linear_bias),
                          params().running(d.mean),
                          params().running(d.variance),
                          params().counter(d.tracked),
                          params().filters().w,
                          params().filters().v,
                          params().vectors().w,
                          params().vectors().v,
                          params().filter_gradient(d.stem),
                          params().vector_gradient(d.linear)};
  for (const void* slice : slices) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slice) % 256, 0u);
  // Each slice holds its own values after all are written.
  const auto filled = [&](int i) {
    return std::vector<float>(numbered(i).size(), static_cast<float>(i + 1));
  };
  std::vector<int> written(params().list().size());
  std::iota(written.begin(), written.end(), 0);
  std::erase(written, d.tracked);
  for (const int i : written) set(i, filled(i));
  for (const int i : written) EXPECT_EQ(get(i), filled(i)) << i;
}

TEST_P(ParamsTest, AFilterIsStoredByChannelAndPaddedWithZeros) {
  const std::vector<float> values = numbered(declared_.stem);
  set(declared_.stem, values);
  EXPECT_EQ(get(declared_.stem), values);
  const auto* stored = static_cast<const std::byte*>(params().filter(declared_.stem));
  for (int k = 0; k < 5; ++k)
    for (int r = 0; r < 3; ++r)
      for (int s = 0; s < 3; ++s)
        for (int c = 0; c < 8; ++c) {
          const int at = ((k * 3 + r) * 3 + s) * 8 + c;
          const int theirs = ((k * 3 + c) * 3 + r) * 3 + s;
          ASSERT_EQ(value_at(stored + at * element_size(GetParam()), GetParam()), c < 3 ? values[theirs] : 0)
              << k << " " << r << " " << s << " " << c;
        }
}

TEST_P(ParamsTest, MasterWeightsKeepAllDigitsAndTheCopyRounds) {
  const std::vector<float> values(numbered(declared_.wide).size(), 1.0f / 3);
  set(declared_.wide, values);
  EXPECT_EQ(get(declared_.wide), values);
  EXPECT_EQ(value_at(static_cast<const std::byte*>(params().filter(declared_.wide)), GetParam()),
            rounded(1.0f / 3, GetParam()));
}

TEST_P(ParamsTest, MomentaAndGradientsHaveTheirOwnBlocks) {
  for (const int i : {declared_.stem, declared_.linear}) {
    const std::vector<float> values = numbered(i);
    std::vector<float> momenta = values;
    std::reverse(momenta.begin(), momenta.end());
    set(i, values);
    set(i, momenta, "momentum");
    EXPECT_EQ(get(i), values);
    EXPECT_EQ(get(i, "momentum"), momenta);
    EXPECT_EQ(get(i, "gradient"), std::vector<float>(values.size(), 0));
  }
  // A filter's gradient has the compute type; 1 is the first value of its first pixel.
  const float one = 1;
  const half_t half = from_float<half_t>(one);
  const bf16_t bfloat = from_float<bf16_t>(one);
  const void* bits = &one;
  if (GetParam() == DType::kF16) bits = &half;
  if (GetParam() == DType::kBf16) bits = &bfloat;
  std::memcpy(params().filter_gradient(declared_.stem), bits, element_size(GetParam()));
  EXPECT_EQ(get(declared_.stem, "gradient")[0], 1);
}

// The copy in the compute type is that of the filters' weights, whatever else is uploaded.
TEST_P(ParamsTest, LayersReadTheWeightsOfFiltersAfterEveryUpload) {
  const auto read_by_layers = [&] {
    std::vector<std::byte> bytes;
    for (const int i : {declared_.stem, declared_.wide, declared_.same}) {
      const auto* begin = static_cast<const std::byte*>(params().filter(i));
      bytes.insert(bytes.end(), begin, begin + params().list()[i].stored_elements * element_size(GetParam()));
    }
    return bytes;
  };
  for (const int i : {declared_.stem, declared_.wide, declared_.same}) set(i, numbered(i));
  const std::vector<std::byte> before = read_by_layers();
  const auto set_to_minus_one = [&](int i, const char* which) {
    set(i, std::vector<float>(numbered(i).size(), -1), which);
  };
  for (const int i : {declared_.stem, declared_.wide, declared_.same}) set_to_minus_one(i, "momentum");
  for (const int i : {declared_.weight, declared_.bias, declared_.linear, declared_.linear_bias})
    for (const char* which : {"weight", "momentum"}) set_to_minus_one(i, which);
  for (const int i : {declared_.mean, declared_.variance}) set_to_minus_one(i, "weight");
  EXPECT_EQ(read_by_layers(), before);
}

TEST_P(ParamsTest, TrainableCountsWeightsButNoStatistics) {
  EXPECT_EQ(params().trainable(), 5 * 3 * 9 + 5 + 5 + 2 * 64 * 16 * 9 + 100 * 64 + 100);
}

TEST_P(ParamsTest, RejectsWrongSizesAndLateDeclarations) {
  EXPECT_THROW(set(declared_.bias, {1, 2, 3}), Error);
  EXPECT_THROW(params().add_vector("late", 5, 0), Error) << "declared after the parameters were placed";
}

struct Moments {
  double mean = 0, std = 0;
};
Moments moments(const std::vector<float>& values) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  for (const float value : values) m.mean += value / n;
  for (const float value : values) m.std += (value - m.mean) * (value - m.mean) / n;
  m.std = std::sqrt(m.std);
  return m;
}

TEST_P(ParamsTest, FiltersStartNormalByTheirFanOut) {
  params().initialize(stream(), 7);
  const std::vector<float> values = get(declared_.wide);
  const double n = static_cast<double>(values.size()),
               std = std::sqrt(2.0 / (3 * 3 * 64));  // the fan-in rule gives twice that
  const auto [mean, spread] = moments(values);
  // Five standard errors: of a mean, of a standard deviation, of a share.
  EXPECT_NEAR(mean, 0, 5 * std / std::sqrt(n));
  EXPECT_NEAR(spread, std, 5 * std / std::sqrt(2 * n));
  for (const auto& [deviations, share] : {std::pair(1.0, 0.3173), std::pair(2.0, 0.0455)}) {
    const auto beyond = std::count_if(values.begin(), values.end(),
                                      [limit = deviations * std](float x) { return std::abs(x) > limit; });
    EXPECT_NEAR(static_cast<double>(beyond) / n, share, 5 * std::sqrt(share * (1 - share) / n));
  }
}

TEST_P(ParamsTest, TheLinearLayerStartsUniformAndTheRestConstant) {
  params().initialize(stream(), 7);
  const float bound = 1.0f / std::sqrt(64.0f);  // of the bias too: by the layer's inputs
  for (const int i : {declared_.linear, declared_.linear_bias}) {
    const std::vector<float> values = get(i);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    EXPECT_GE(*low, -bound);
    EXPECT_LE(*high, bound);
    EXPECT_GT(*high - *low, 1.8f * bound);
    const double n = static_cast<double>(values.size()), std = bound / std::sqrt(3.0);
    const auto [mean, spread] = moments(values);
    EXPECT_NEAR(mean, 0, 5 * std / std::sqrt(n));
    EXPECT_NEAR(spread, std, 5 * std * std::sqrt(0.2 / n));  // a uniform's kurtosis is 1.8
  }
  EXPECT_EQ(get(declared_.weight), std::vector<float>(5, 1));
  EXPECT_EQ(get(declared_.bias), std::vector<float>(5, 0));
  EXPECT_EQ(get(declared_.mean), std::vector<float>(5, 0));
  EXPECT_EQ(get(declared_.variance), std::vector<float>(5, 1));
  EXPECT_EQ(*params().counter(declared_.tracked), 0);
}

TEST_P(ParamsTest, InitialValuesDependOnlyOnTheSeed) {
  params().initialize(stream(), 7);
  const auto all = [&] {
    std::vector<std::vector<float>> values;
    for (const int i :
         {declared_.stem, declared_.wide, declared_.same, declared_.linear, declared_.linear_bias})
      values.push_back(get(i));
    return values;
  };
  const auto first = all();
  EXPECT_NE(first[1], first[2]) << "two filters of one shape start alike";
  // Earlier values have no effect.
  set(declared_.stem, numbered(declared_.stem));
  set(declared_.stem, numbered(declared_.stem), "momentum");
  *params().counter(declared_.tracked) = 9;
  params().initialize(stream(), 7);
  EXPECT_EQ(all(), first);
  EXPECT_EQ(get(declared_.stem, "momentum"), std::vector<float>(5 * 3 * 3 * 3, 0));
  EXPECT_EQ(*params().counter(declared_.tracked), 0);
  params().initialize(stream(), 8);
  const auto other = all();
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_NE(other[i], first[i]) << i;
}

INSTANTIATE_TEST_SUITE_P(Types, ParamsTest, testing::Values(DType::kF32, DType::kF16, DType::kBf16),
                         [](const auto& type) { return std::string(to_string(type.param)); });

// Marks the elements of a range that hold one of PyTorch's values.
std::vector<bool> occupied(const Params& params, bool filters, std::int64_t elements) {
  std::vector<bool> mask(static_cast<std::size_t>(elements), false);
  for (const Param& param : params.list()) {
    if (param.kind == ParamKind::kRunning || param.kind == ParamKind::kCounter) continue;
    if ((param.kind == ParamKind::kFilter) != filters) continue;
    const std::int64_t stored = filters ? param.stored_channels : 1, used = filters ? param.shape[1] : 1;
    for (std::int64_t i = 0; i < param.stored_elements; ++i)
      if (i % stored < used) mask[static_cast<std::size_t>(param.offset + i)] = true;
  }
  return mask;
}

void expect_zero_padding(const void* block, DType dtype, const std::vector<bool>& mask, const char* what) {
  if (!block) return;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < mask.size(); ++i)
    wrong += !mask[i] && value_at(static_cast<const std::byte*>(block) + i * element_size(dtype), dtype) != 0;
  EXPECT_EQ(wrong, 0u) << what;
}

class PaddingTest : public testing::TestWithParam<DType> {};

// A training with the stem's 3 channels stored as 8.
TEST_P(PaddingTest, StaysZeroWhileTheNetworkTrains) {
  const bool cpu = GetParam() == DType::kF32 || host_has_bf16();
  const auto device = make_device(cpu ? DeviceKind::kCpu : DeviceKind::kSimt);
  const auto stream = device->make_stream(StreamMode::kImmediate);
  const auto net = make_resnet({.classes = kClasses, .width = 0.125, .image_size = 8, .input_channels = 8});
  Params& params = net->params();
  params.place(*device, *stream, GetParam());
  params.initialize(*stream, 3);
  PassPool pool(*device, *net);
  const DeviceDataset set(*device, *stream, bright_images(26), {0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f});
  TrainOptions how = options();
  how.compute = GetParam();
  Trainer trainer(*device, *stream, *net, pool, set, how);
  pool.place();
  const std::vector<std::byte> before = params.download(*stream, 0);
  while (trainer.cursor() < trainer.samples()) trainer.step();
  EXPECT_EQ(trainer.end_epoch().skipped_steps, 0);
  EXPECT_NE(params.download(*stream, 0), before);

  for (const Params::Range* range : {&params.filters(), &params.vectors()}) {
    const bool filters = range == &params.filters();
    const std::vector<bool> mask = occupied(params, filters, range->n);
    EXPECT_GT(std::count(mask.begin(), mask.end(), false), 0);
    expect_zero_padding(range->w, DType::kF32, mask, "weights");
    expect_zero_padding(range->v, DType::kF32, mask, "momenta");
    expect_zero_padding(range->gradient, filters ? GetParam() : DType::kF32, mask, "gradients");
    expect_zero_padding(range->compute, range->compute_type, mask, "the copy that layers read");
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PaddingTest, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& type) { return std::string(to_string(type.param)); });

}  // namespace
}  // namespace tdds
