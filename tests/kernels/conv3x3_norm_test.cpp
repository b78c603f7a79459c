// What the convolutions of kernels/ops/conv3x3.h do for the batch norms next to them, on simt.

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "tests/kernels/conv3x3_rig.h"

namespace tdds::test {
namespace {

struct NormShape {
  std::int64_t rows;
  std::int32_t channels;

  std::size_t size() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(channels); }
};

NormShape x_shape(const Conv2dSpec& s) {
  return {conv3x3_shape(s).pixels(), s.channels};
}
NormShape y_shape(const Conv2dSpec& s) {
  return {conv3x3_shape(s).pixels(), s.out_channels};
}

BatchNormMemory memory_of(Rig& rig, const NormShape& shape) {
  return {rig.scratch(batchnorm_workspace_bytes(shape.rows, shape.channels)),
          rig.in(std::vector<std::uint32_t>(batchnorm_tickets(shape.channels), 0))};
}

BatchNormPartials partials_in(const BatchNormMemory& memory, const Conv2dSpec& spec, Conv3x3Tile tile) {
  return {static_cast<const float*>(memory.workspace), conv3x3_group_rows(conv3x3_shape(spec), tile)};
}

struct Norm {
  float *weight, *bias, *mean, *inv_std;
  void* y;
  std::uint8_t* mask;
};

// Runs the forward pass and watches its results.
Norm norm_of(Rig& rig, const void* x, const NormShape& shape, DType dtype, const void* residual,
             const BatchNormMemory& memory, const BatchNormPartials& partials = {}) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  Norm norm{rig.in(random_values(channels, 90, 1, 0.25)),
            rig.in(random_values(channels, 91, 0, 0.5)),
            rig.out("mean", channels),
            rig.out("inv_std", channels),
            nullptr,
            nullptr};
  norm.y = rig.out<std::byte>("norm", shape.size(), dtype);
  if (residual) norm.mask = static_cast<std::uint8_t*>(rig.scratch(shape.size() / 8));
  auto *running_mean = rig.in(std::vector<float>(channels, 0)),
       *running_var = rig.in(std::vector<float>(channels, 1));
  rig.watch("running mean", running_mean, channels);
  rig.watch("running variance", running_var, channels);
  batchnorm_forward(rig.stream(), {.x = x,
                                   .residual = residual,
                                   .weight = norm.weight,
                                   .bias = norm.bias,
                                   .running_mean = running_mean,
                                   .running_var = running_var,
                                   .batches_tracked = rig.in<std::int64_t>({0}),
                                   .mean = norm.mean,
                                   .inv_std = norm.inv_std,
                                   .y = norm.y,
                                   .rows = shape.rows,
                                   .channels = shape.channels,
                                   .eps = 1e-5f,
                                   .momentum = 0.1f,
                                   .dtype = dtype,
                                   .relu = true,
                                   .workspace = memory.workspace,
                                   .mask = norm.mask,
                                   .tickets = memory.tickets,
                                   .partials = partials});
  return norm;
}

class Conv3x3NormTest : public testing::TestWithParam<Conv3x3Tile> {
 protected:
  Conv3x3Tile tile() const { return GetParam(); }
  std::int32_t columns() const { return layout_of(tile()).columns; }
  // One tile that is not full; some tiles of a group each, the last with one row; more tiles than groups,
  // where the last group is not full.
  std::vector<std::pair<std::int32_t, std::int32_t>> maps() const {
    const std::int32_t tile_pixels = layout_of(tile()).pixels;
    return {{9, 7}, {3 * tile_pixels + 1, 1}, {tile_pixels / 8 * 26 + 3, 8}};
  }
  RigRun forward_run(const Conv2dSpec& spec, const Conv2dData& data) const {
    return [=, this](Rig& rig) {
      const BatchNormMemory memory = memory_of(rig, y_shape(spec));
      const void* y = forward(rig, spec, tile(), data, memory);
      norm_of(rig, y, y_shape(spec), spec.dtype, nullptr, memory, partials_in(memory, spec, tile()));
    };
  }
};

INSTANTIATE_TEST_SUITE_P(Tiles, Conv3x3NormTest, testing::ValuesIn(kConv3x3Tiles), name_of_tile);

// outputs: y, mean, inv_std, norm, running mean and variance, as forward_run() watches them.
void expect_moments_of_y(const std::vector<Output>& outputs, const NormShape& shape,
                         const std::string& what) {
  const std::vector<double> y = values_of(outputs[0]);
  const auto channels = static_cast<std::size_t>(shape.channels);
  const auto rows = static_cast<double>(shape.rows);
  for (std::size_t c = 0; c < channels; ++c) {
    double mean = 0, squares = 0;
    for (std::size_t i = c; i < y.size(); i += channels) mean += y[i] / rows;
    for (std::size_t i = c; i < y.size(); i += channels) squares += (y[i] - mean) * (y[i] - mean);
    // A few roundings of the mean, which are relative to the values' spread, and of itself.
    const double unit = unit_roundoff(DType::kF32), spread = std::sqrt(squares / rows);
    ASSERT_NEAR(outputs[1].value(c), mean, unit * (2 * std::abs(mean) + 8 * spread))
        << what << ", channel " << c;
    const double inv_std = 1 / std::sqrt(squares / rows + 1e-5f);
    ASSERT_NEAR(outputs[2].value(c), inv_std, 16 * unit * inv_std) << what << ", channel " << c;
    ASSERT_NEAR(outputs[5].value(c), 0.9 + 0.1 * squares / (rows - 1), 16 * unit * (1 + squares / rows))
        << what;
  }
}

TEST_P(Conv3x3NormTest, ForwardTakesTheMomentsOfTheRoundedOutput) {
  unsigned seed = 60;
  for (const auto& [height, width] : maps()) {
    const Conv2dSpec spec = spec_of(1, height, width, 64, height == 9 ? 2 * columns() : columns());
    const std::string what = fmt::format("{} by {}", text(spec), to_string(tile()));
    const RigRun run = forward_run(spec, data_of(spec, ++seed));
    expect_moments_of_y(results_of(run, DeviceKind::kSimt), y_shape(spec), what);
    if (height * width < 4000) expect_equal_bits(run, what);
  }
}

// y = x with a mean of a hundred times the spread: E[x^2] - mean^2 would have lost all digits.
TEST_P(Conv3x3NormTest, MomentsDoNotCancel) {
  for (const DType dtype : {DType::kF16, DType::kBf16}) {
    const Conv2dSpec spec = spec_of(2, 21, 19, columns(), columns(), dtype);
    Conv2dData data = data_of(spec, 70);
    data.x = random_values(x_elements(spec), 71, 100, 1);
    std::fill(data.w.begin(), data.w.end(), 0.0f);
    const auto k = static_cast<std::size_t>(columns());
    for (std::size_t c = 0; c < k; ++c)
      data.w[(c * 9 + 4) * k + c] = 1;  // the filter's middle, channel by channel
    expect_moments_of_y(results_of(forward_run(spec, data), DeviceKind::kSimt), y_shape(spec), text(spec));
  }
}

// How the convolution's input was made, and whether its gradient is added to another.
struct GradientCase {
  bool residual, add;
};

class Conv3x3GradientTest : public Conv3x3NormTest {
 protected:
  // Watches g, dx, dweight and dbias at the end.
  RigRun run_of(const Conv2dSpec& spec, GradientCase which, bool fused) const {
    return [=, this](Rig& rig) {
      const NormShape shape = x_shape(spec);
      const auto channels = static_cast<std::size_t>(shape.channels);
      const Conv2dData data = data_of(spec, 80);
      void* x = rig.typed(spec.dtype, random_values(shape.size(), 81, 0.5, 2));
      const void* residual =
          which.residual ? rig.typed(spec.dtype, random_values(shape.size(), 82, 0, 1)) : nullptr;
      rig.watch("x", x, shape.size(), spec.dtype);
      const Norm norm = norm_of(rig, x, shape, spec.dtype, residual, memory_of(rig, shape));

      std::vector<float> before = random_values(shape.size(), 83, 1, 8);
      const BatchNormMemory memory = memory_of(rig, shape);
      BatchNormGradient gradient;
      if (fused)
        gradient = {.x = x,
                    .weight = norm.weight,
                    .bias = norm.bias,
                    .mean = norm.mean,
                    .inv_std = norm.inv_std,
                    .mask = norm.mask,
                    .memory = memory};
      void* dy = backward(rig, spec, tile(), data, which.add ? &before : nullptr, gradient);
      if (!fused) rig.watch("g", rig_g(rig, shape, spec.dtype), shape.size(), spec.dtype);
      batchnorm_backward(rig.stream(),
                         {.x = x,
                          .y = fused ? nullptr : norm.y,
                          .dy = dy,
                          .weight = norm.weight,
                          .bias = norm.bias,
                          .mean = norm.mean,
                          .inv_std = norm.inv_std,
                          .dweight = rig.out("dweight", channels),
                          .dbias = rig.out("dbias", channels),
                          .dx = rig.out<std::byte>("dx of the norm", shape.size(), spec.dtype),
                          .dresidual = fused ? nullptr : g_,
                          .rows = shape.rows,
                          .channels = shape.channels,
                          .dtype = spec.dtype,
                          .relu = !fused,
                          .workspace = memory.workspace,
                          .mask = norm.mask,
                          .tickets = memory.tickets,
                          .partials = fused ? partials_in(memory, spec, tile()) : BatchNormPartials{}});
    };
  }

 private:
  void* rig_g(Rig& rig, const NormShape& shape, DType dtype) const {
    return g_ = rig.scratch(shape.size() * element_size(dtype));
  }
  mutable void* g_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Tiles, Conv3x3GradientTest, testing::ValuesIn(kConv3x3Tiles), name_of_tile);

const Output& named(const std::vector<Output>& outputs, std::string_view name) {
  for (const Output& output : outputs)
    if (output.name == name) return output;
  throw Error("no output " + std::string(name));
}

// dbias and dweight against their definition, from the g of the run.
void expect_sums_of_g(const std::vector<Output>& outputs, const std::string& g_name, const NormShape& shape,
                      const std::string& what) {
  const Output &g = named(outputs, g_name), &x = named(outputs, "x"), &mean = named(outputs, "mean");
  const auto channels = static_cast<std::size_t>(shape.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    double sum = 0, product = 0, size = 0, product_size = 0;
    for (std::size_t i = c; i < shape.size(); i += channels) {
      const double one = g.value(i) * (x.value(i) - mean.value(c)) * named(outputs, "inv_std").value(c);
      sum += g.value(i);
      product += one;
      size += std::abs(g.value(i));
      product_size += std::abs(one);
    }
    // A thread sums at most 16 rows, a tile 32 of these, a group and all groups up to 24.
    const double bound = 100 * unit_roundoff(DType::kF32);
    ASSERT_NEAR(named(outputs, "dbias").value(c), sum, bound * size) << what << ", channel " << c;
    ASSERT_NEAR(named(outputs, "dweight").value(c), product, bound * product_size)
        << what << ", channel " << c;
  }
}

// g has the bits that batch norm's own backward pass would give, and the rest differs by the order of sums.
TEST_P(Conv3x3GradientTest, TheDataGradientBecomesTheGOfTheNorm) {
  for (const auto& [height, width] : maps())
    for (const GradientCase which : {GradientCase{false, false}, {true, true}, {false, true}}) {
      const DType dtype = which.add && !which.residual ? DType::kBf16 : DType::kF16;
      const Conv2dSpec spec = spec_of(1, height, width, columns(), 64, dtype);
      const std::string what = fmt::format("{} by {}, residual {}, add {}", text(spec), to_string(tile()),
                                           which.residual, which.add);
      const std::vector<Output> fused = results_of(run_of(spec, which, true), DeviceKind::kSimt);
      const std::vector<Output> apart = results_of(run_of(spec, which, false), DeviceKind::kSimt);
      EXPECT_EQ(named(fused, "dx").bytes, named(apart, "g").bytes) << what;
      expect_sums_of_g(fused, "dx", x_shape(spec), what);
      const double unit = unit_roundoff(dtype);
      expect_near(values_of(named(fused, "dx of the norm")), values_of(named(apart, "dx of the norm")), unit,
                  2 * unit, what);
      if (height * width < 4000) expect_equal_bits(run_of(spec, which, true), what);
    }
}

// The second call finds tickets that are not zero, so no block merges a group.
TEST(Conv3x3TicketsTest, UsedTicketsShow) {
  const Conv2dSpec spec = spec_of(1, 128 * 26 / 8, 8, 64, 64);
  const auto means = [&](bool zeroed) {
    Rig rig(DeviceKind::kSimt, kNaNFill);
    const Conv2dData data = data_of(spec, 85);
    const NormShape shape = y_shape(spec);
    const BatchNormMemory memory = memory_of(rig, shape);
    const std::size_t tickets = batchnorm_tickets(shape.channels),
                      bytes = batchnorm_workspace_bytes(shape.rows, 64);
    forward(rig, spec, Conv3x3Tile::k128x64, data, memory);
    rig.stream().synchronize();
    std::memset(memory.workspace, 0xFF, bytes);
    if (zeroed) std::fill(memory.tickets, memory.tickets + tickets, 0u);
    const void* y = forward(rig, spec, Conv3x3Tile::k128x64, data, memory);
    const Norm norm =
        norm_of(rig, y, shape, spec.dtype, nullptr, memory, partials_in(memory, spec, Conv3x3Tile::k128x64));
    rig.stream().synchronize();
    return std::vector<float>(norm.mean, norm.mean + shape.channels);
  };
  for (const float mean : means(true)) EXPECT_TRUE(std::isfinite(mean));
  for (const float mean : means(false)) EXPECT_TRUE(std::isnan(mean));
}

}  // namespace
}  // namespace tdds::test
