// The 3x3 convolutions on tensor cores (kernels/ops/conv3x3.h) on simt, against the definition in double.

#include <fmt/format.h>

#include "tests/kernels/conv3x3_rig.h"

namespace tdds::test {
namespace {

// One rounding to the type, and those of the sums: a sum of n products of unit normal values stays within a
// few sqrt(n), and the errors of its n fp32 additions are independent.
void expect_sums(const Output& output, const std::vector<double>& wanted, std::int32_t terms,
                 const std::string& what) {
  const double n = 9.0 * terms;
  expect_near(values_of(output), wanted, 4 * n * unit_roundoff(DType::kF32), unit_roundoff(output.dtype),
              what);
}

class Conv3x3Test : public testing::TestWithParam<Conv3x3Tile> {
 protected:
  // With the bits of every order of threads and blocks, and of every previous content of memory.
  void expect_right(const Conv2dSpec& spec, unsigned seed, bool every_order = true) {
    const std::string what = fmt::format("{} by {}", text(spec), to_string(GetParam()));
    const Conv2dData data = data_of(spec, seed);
    const Reference wanted = reference(spec, data);
    const auto check = [&](const RigRun& run, const std::vector<double>& values, std::int32_t terms) {
      expect_sums(results_of(run, DeviceKind::kSimt)[0], values, terms, what);
      if (every_order) expect_equal_bits(run, what);
    };
    if (fits(spec, kForward, GetParam()))
      check([&](Rig& rig) { forward(rig, spec, GetParam(), data); }, wanted.y, spec.channels);
    if (fits(spec, kData, GetParam()))
      check([&](Rig& rig) { backward(rig, spec, GetParam(), data); }, wanted.dx, spec.out_channels);
  }
};

// One image whose pixels are those of a tile, one fewer or one more; heights of 1 to 32; narrow and wide
// maps, whose tiles hold several rows or several images, or less than a row.
TEST_P(Conv3x3Test, AgreesWithTheDefinitionOnSmallShapes) {
  const std::int32_t columns = layout_of(GetParam()).columns;
  unsigned seed = 0;
  for (const auto& [batch, height, width] : {std::array{1, 3, 43},
                                             {1, 8, 16},
                                             {1, 1, 127},
                                             {1, 15, 17},
                                             {1, 4, 64},
                                             {1, 257, 1},
                                             {1, 32, 8},
                                             {3, 7, 7},
                                             {5, 2, 2},
                                             {2, 1, 1}})
    expect_right(spec_of(batch, height, width, columns, columns), ++seed);
}

TEST_P(Conv3x3Test, AgreesWithTheDefinitionForOtherChannelsAndBf16) {
  unsigned seed = 20;
  for (const auto& [channels, out_channels] : {std::pair{64, 128}, {128, 64}, {192, 128}})
    expect_right(spec_of(2, 9, 8, channels, out_channels), ++seed);
  expect_right(spec_of(1, 16, 9, 64, 128, DType::kBf16), ++seed);
}

INSTANTIATE_TEST_SUITE_P(Tiles, Conv3x3Test, testing::ValuesIn(kConv3x3Tiles), name_of_tile);

// The stages of ResNet-18 for 32x32, with one image, by each tile. (The definition takes longer than simt.)
TEST(Conv3x3StagesTest, AgreesWithTheDefinitionAtFullChannels) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "full channels take minutes with sanitizers; the same code runs on small shapes";
#endif
  unsigned seed = 40;
  for (const auto& [size, channels] : {std::pair{32, 64}, {16, 128}, {8, 256}, {4, 512}}) {
    const Conv2dSpec spec = spec_of(1, size, size, channels, channels);
    const Conv2dData data = data_of(spec, ++seed);
    const Reference wanted = reference(spec, data);
    for (const Conv3x3Tile tile : conv3x3_tiles(spec, kForward, kMostSharedBytes)) {
      const std::string what = fmt::format("{} by {}", text(spec), to_string(tile));
      expect_sums(results_of([&](Rig& rig) { forward(rig, spec, tile, data); }, DeviceKind::kSimt)[0],
                  wanted.y, channels, what);
      expect_sums(results_of([&](Rig& rig) { backward(rig, spec, tile, data); }, DeviceKind::kSimt)[0],
                  wanted.dx, channels, what);
    }
  }
}

// Added to the sums before their only rounding.
TEST_P(Conv3x3Test, AddsToTheDataGradient) {
  const std::int32_t columns = layout_of(GetParam()).columns;
  const Conv2dSpec spec = spec_of(3, 6, 11, columns, 64);
  const Conv2dData data = data_of(spec, 50);
  std::vector<float> before = random_values(x_elements(spec), 51, 3, 8);
  for (float& value : before) value = rounded_to(spec.dtype, value);
  std::vector<double> wanted = reference(spec, data).dx;
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] += before[i];
  const RigRun run = [&](Rig& rig) { backward(rig, spec, GetParam(), data, &before); };
  expect_sums(results_of(run, DeviceKind::kSimt)[0], wanted, 64, text(spec));
  expect_equal_bits(run, text(spec));
}

// Each neighbour by itself: a filter with one tap copies the image, shifted by that tap.
TEST_P(Conv3x3Test, EveryTapReadsItsNeighbour) {
  const std::int32_t columns = layout_of(GetParam()).columns;
  const Conv2dSpec spec = spec_of(2, 5, 6, columns, columns);
  Conv2dData data = data_of(spec, 52);
  for (std::int32_t tap = 0; tap < 9; ++tap) {
    std::fill(data.w.begin(), data.w.end(), 0.0f);
    for (std::int32_t k = 0; k < columns; ++k) {
      const std::int32_t filter_tap = k * 9 + tap;
      data.w[static_cast<std::size_t>(filter_tap) * columns + (k + 1) % columns] = 1;
    }
    const Reference wanted = reference(spec, data);
    EXPECT_EQ(
        values_of(results_of([&](Rig& rig) { forward(rig, spec, GetParam(), data); }, DeviceKind::kSimt)[0]),
        wanted.y)
        << "tap " << tap;
    EXPECT_EQ(
        values_of(results_of([&](Rig& rig) { backward(rig, spec, GetParam(), data); }, DeviceKind::kSimt)[0]),
        wanted.dx)
        << "tap " << tap;
  }
}

TEST(Conv3x3TilesTest, FitTheShapeAndTheSharedMemory) {
  using enum Conv3x3Tile;
  using Tiles = std::vector<Conv3x3Tile>;
  constexpr std::size_t kSmall = 99 << 10;  // sm_86, sm_89, sm_120
  const auto tiles = [](const Conv2dSpec& spec, std::size_t limit) {
    return conv3x3_tiles(spec, Conv3x3Direction::kForward, limit);
  };
  // The stages of ResNet-18 with batches of 128: the first is the largest that fills the GPU.
  EXPECT_EQ(tiles(spec_of(128, 32, 32, 64, 64), kSmall), (Tiles{k256x64, k128x64}));
  EXPECT_EQ(tiles(spec_of(128, 16, 16, 128, 128), kSmall), (Tiles{k256x64, k128x128, k128x64}));
  EXPECT_EQ(tiles(spec_of(128, 8, 8, 256, 256), kSmall).front(), k256x64);
  EXPECT_EQ(tiles(spec_of(128, 4, 4, 512, 512), kSmall).front(), k128x64);
  // ImageNet's.
  for (const auto& [size, channels] : {std::pair{56, 64}, {28, 128}, {14, 256}, {7, 512}})
    EXPECT_FALSE(tiles(spec_of(128, size, size, channels, channels), kSmall).empty()) << size;
  EXPECT_EQ(tiles(spec_of(128, 56, 56, 128, 128), kSmall), Tiles{k128x64});
  EXPECT_EQ(tiles(spec_of(1, 4, 4, 64, 64), 48 << 10), Tiles{});

  const Conv2dSpec good = spec_of(1, 8, 8, 64, 128);
  const auto refuses = [&](auto change) {
    Conv2dSpec spec = good;
    change(spec);
    EXPECT_TRUE(tiles(spec, kMostSharedBytes).empty()) << text(spec);
  };
  EXPECT_FALSE(tiles(good, kMostSharedBytes).empty());
  refuses([](Conv2dSpec& s) { s.channels = 96; });
  refuses([](Conv2dSpec& s) { s.out_channels = 32; });
  refuses([](Conv2dSpec& s) { s.stride = 2; });
  refuses([](Conv2dSpec& s) { s.padding = 0; });
  refuses([](Conv2dSpec& s) { s.filter_h = 1; });
  refuses([](Conv2dSpec& s) { s.dtype = DType::kF32; });
  refuses([](Conv2dSpec& s) { s.batch = 1 << 30; });
}

}  // namespace
}  // namespace tdds::test
