// Seeded mistakes in the products of the 3x3 convolutions: the executor or the results show each of them.
// (That a ticket was not set to zero shows in conv3x3_norm_test.cpp.)

#include "kernels/gpu/conv3x3_tile.h"
#include "tests/kernels/conv3x3_rig.h"

namespace tdds::simt {
namespace {

using namespace test;

enum class Mistake {
  kNone,
  kNoWait,       // the copies of a tap are not waited for
  kNoBarrier,    // no barrier between the wait of a thread and the reads of the others
  kFlatFilters,  // filters are copied without the permutation with which they are read
  kFlatHalo,     // the same of the halo
  kShortHalo     // the last row of the halo is missing
};

constexpr auto kTile = Conv3x3Tile::k128x64;

using Products = Conv3x3Products<half_t, kTile, Conv3x3Direction::kForward>;

template <Mistake kMistake>
struct Mistaken : Products {
  explicit Mistaken(const Conv3x3Operands<half_t>& operands) : Products(operands) {
    if (kMistake == Mistake::kShortHalo) --halo_rows;
  }

  void copy_filters_of(int iteration) const {
    if constexpr (kMistake != Mistake::kFlatFilters) return copy_filters(iteration);
    half_t* to = memory + iteration % kStages * kColumns * kRow;
    for (int at = static_cast<int>(rank_in_block()) * kChunk; at < kColumns * kRow; at += kThreads * kChunk)
      copy_async16(to + at, args.w + (at / kRow * kTaps + iteration) * kRow + at % kRow);
  }
  void copy_halo_of(int chunk) const {
    if constexpr (kMistake != Mistake::kFlatHalo) return copy_halo(chunk);
    for (int at = static_cast<int>(rank_in_block()) * kChunk; at < halo_rows * kRow;
         at += kThreads * kChunk) {
      const int pixel = first_pixel - args.width - 1 + at / kRow;
      if (pixel >= 0 && pixel < args.pixels)
        copy_async16(memory + halo + at, args.in + pixel * kRow + at % kRow);
    }
  }

  // As Conv3x3Products::run(), with 64 terms.
  void run() {
    copy_halo_of(0);
    for (int ahead = 0; ahead < kStages - 1; ++ahead) {
      copy_filters_of(ahead);
      copy_async_commit();
    }
    for (int iteration = 0; iteration < kTaps; ++iteration) {
      if (kMistake != Mistake::kNoWait) copy_async_wait<kStages - 2>();
      if (kMistake != Mistake::kNoBarrier) sync_block();
      if (iteration + kStages - 1 < kTaps) copy_filters_of(iteration + kStages - 1);
      copy_async_commit();
      multiply(iteration);
    }
    copy_async_wait<0>();
  }
};

// out [parts][pixels of the tile][columns]
template <Mistake kMistake>
__global__ void mistaken_kernel(Conv3x3Operands<half_t> operands, float* out) {
  wait_for_previous();
  using Made = Mistaken<kMistake>;
  Made made(operands);
  made.run();
  for (int i = 0; i < Made::kDown; ++i)
    for (int j = 0; j < Made::kAcross; ++j)
      for (std::uint32_t e = 0; e < 4; ++e) {
        const MatrixPlace at = accumulator_place(made.lane, e);
        const int row = made.part * Made::kPixels + made.warp_pixel + 16 * i + static_cast<int>(at.row);
        out[row * Made::kColumns + made.warp_column + 8 * j + static_cast<int>(at.column)] =
            made.sums[i][j].v[e];
      }
}

// The outputs of the first tile.
template <Mistake kMistake>
std::vector<double> first_tile(const Conv2dSpec& spec, const Conv2dData& data) {
  constexpr std::size_t kValues = 128 * 64;
  Rig rig(DeviceKind::kSimt, kNaNFill);
  auto* out = rig.out("out", 2 * kValues);
  const Conv3x3Shape shape = conv3x3_shape(spec);
  allow_shared_memory(rig.stream().device(), mistaken_kernel<kMistake>, 100 << 10);
  launch(rig.stream(), "mistaken", mistaken_kernel<kMistake>, {1}, {256},
         conv3x3_shared_bytes(shape, kForward, kTile),
         Conv3x3Operands<half_t>{.in = static_cast<const half_t*>(rig.typed(spec.dtype, data.x)),
                                 .w = static_cast<const half_t*>(rig.typed(spec.dtype, data.w)),
                                 .pixels = static_cast<std::int32_t>(shape.pixels()),
                                 .height = spec.height,
                                 .width = spec.width,
                                 .terms = spec.channels,
                                 .columns = spec.out_channels},
         out);
  rig.stream().synchronize();
  std::vector<double> sums(kValues);
  for (std::size_t i = 0; i < kValues; ++i) sums[i] = double{out[i]} + out[kValues + i];
  return sums;
}

class Conv3x3SeededTest : public testing::Test {
 protected:
  // The tile ends within a row, so that its last pixel has neighbours on all sides.
  const Conv2dSpec spec_ = spec_of(1, 12, 17, 64, 64);
  const Conv2dData data_ = data_of(spec_, 95);

  template <Mistake kMistake>
  double error() const {
    const std::vector<double> got = first_tile<kMistake>(spec_, data_), wanted = reference(spec_, data_).y;
    double most = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      most = std::isfinite(got[i]) ? std::max(most, std::abs(got[i] - wanted[i])) : INFINITY;
    return most;
  }
  template <Mistake kMistake>
  void expect_refused(const std::string& why) const {
    try {
      first_tile<kMistake>(spec_, data_);
      ADD_FAILURE() << "accepted; expected: " << why;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("kernel mistaken"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
  }
};

TEST_F(Conv3x3SeededTest, WithoutAMistakeTheResultIsRight) {
  EXPECT_LT(error<Mistake::kNone>(), 1e-4);
}

TEST_F(Conv3x3SeededTest, TheExecutorRefusesAMissingWaitOrBarrier) {
  expect_refused<Mistake::kNoWait>("it has not waited");
  expect_refused<Mistake::kNoBarrier>("only this thread may touch it before the next barrier");
}

TEST_F(Conv3x3SeededTest, AWrongLayoutGivesWrongSums) {
  EXPECT_GT(error<Mistake::kFlatFilters>(), 1);
  EXPECT_GT(error<Mistake::kFlatHalo>(), 1);
  EXPECT_EQ(error<Mistake::kShortHalo>(), INFINITY) << "what was not copied is NaN";
}

}  // namespace
}  // namespace tdds::simt
