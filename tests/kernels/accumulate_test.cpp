#include "kernels/ops/accumulate.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class AccumulateTest : public OpTest {};

TEST_P(AccumulateTest, SumsInFloat32ForEveryGradientType) {
  for (const std::size_t n : {1ul, 7ul, 256ul, 3001ul}) {
    auto sum = empty<float>(n);  // NaN: the first call must not read it
    std::vector<float> want(n, 0);
    for (int micro = 0; micro < 3; ++micro) {
      const auto values = rounded(random_values(n, static_cast<std::uint64_t>(micro) + 1));
      auto gradient = upload_typed(values);
      accumulate(stream(), {gradient, sum, static_cast<std::int64_t>(n), dtype(), micro == 0});
      stream().synchronize();
      for (std::size_t i = 0; i < n; ++i) want[i] += values[i];
    }
    EXPECT_EQ(download(sum), want);  // one order of summation: equal bits
  }
}

TEST_P(AccumulateTest, RejectsInvalidArguments) {
  auto gradient = upload_typed({1, 2});
  auto sum = upload<float>({0, 0});
  EXPECT_THROW(accumulate(stream(), {gradient, sum, -1, dtype(), true}), Error);
  EXPECT_THROW(accumulate(stream(), {gradient, nullptr, 2, dtype(), true}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, AccumulateTest, testing::ValuesIn(every_device_and_type()), name_of_case);

}  // namespace
}  // namespace tdds::test
