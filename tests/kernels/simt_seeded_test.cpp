// Seeded mistakes in host code that may go unnoticed on a GPU. (simt_test.cpp has those in kernels.)

#include "kernels/ops/advance.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/sgd.h"
#include "tests/kernels/simt_rig.h"

namespace tdds::test {
namespace {

TEST(SimtSeededTest, ResultIsAbsentBeforeSynchronize) {
  Rig rig(DeviceKind::kSimt, std::byte{0xFF});
  auto* sum = rig.out("sum", 4);
  auto* one = rig.in<float>({1, 1, 1, 1});
  add(rig.stream(), {one, one, sum, 4, DType::kF32});
  EXPECT_TRUE(std::isnan(sum[0]));
  rig.stream().synchronize();
  EXPECT_EQ(sum[0], 2);
}

TEST(SimtSeededTest, MisalignedSliceIsAKernelError) {
  constexpr std::int64_t kSlice = 64;
  Rig rig(DeviceKind::kSimt, std::byte{0xFF});
  const std::vector<float> values(4 * kSlice, 1);
  auto *w = rig.in(values), *v = rig.in(values), *gradient = rig.in(values), *rates = rig.in<float>({1});
  auto* state = rig.state(0, 0, 0);
  const auto update = [&](std::int64_t offset) {
    sgd(rig.stream(), {w + offset, v + offset, gradient + offset, nullptr, rates, state, kSlice, DType::kF32,
                       DType::kF32, 0, 0, 1, false});
    rig.stream().synchronize();
  };
  EXPECT_NO_THROW(update(kSlice));
  for (const std::int64_t offset : {1, 2, 3, 63}) {
    try {
      update(offset);
      ADD_FAILURE() << "a slice at element " << offset << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("kernel sgd"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("not a multiple of 16"), std::string::npos) << error.what();
    }
  }
}

TEST(SimtSeededTest, AHostSideStepCounterShowsWhenAStepIsReplayed) {
  // Three steps of w -= lr[step] with a gradient of 1: with the step counter of the device, and with an lr
  // table that the host advances.
  const auto after_three = [](bool counter_on_host, bool replayed) {
    Rig rig(DeviceKind::kSimt, std::byte{0xFF});
    auto *w = rig.in<float>({10}), *v = rig.in<float>({0}), *rates = rig.in<float>({1, 2, 4, 0, 0});
    auto *gradient = rig.in<float>({1}), *loss = rig.in<float>({0});
    auto* state = rig.state(0, 0, 0);
    auto* order = rig.in<std::int32_t>({0, 0, 0});
    auto* correct = rig.in<std::uint8_t>({0});
    int host_step = 0;
    const auto step = [&] {
      const float* table = counter_on_host ? rates + host_step++ : rates;
      sgd(rig.stream(), {w, v, gradient, nullptr, table, state, 1, DType::kF32, DType::kF32, 0, 0, 1, false});
      advance(rig.stream(), {state, order, loss, correct, 1, !counter_on_host});
    };
    step();
    if (replayed) {
      const auto recording = rig.stream().record(step);
      for (int i = 0; i < 2; ++i) rig.stream().replay(*recording);
    } else {
      for (int i = 0; i < 2; ++i) step();
    }
    rig.stream().synchronize();
    return w[0];
  };
  EXPECT_EQ(after_three(false, false), 10 - (1 + 2 + 4));
  EXPECT_EQ(after_three(false, true), 10 - (1 + 2 + 4));
  EXPECT_EQ(after_three(true, false), 10 - (1 + 2 + 4));
  EXPECT_EQ(after_three(true, true), 10 - (1 + 2 + 2))
      << "the recorded step has a fixed copy of the host's counter";
}

}  // namespace
}  // namespace tdds::test
