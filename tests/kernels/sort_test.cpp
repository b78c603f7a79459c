#include <algorithm>
#include <numeric>

#include "kernels/ops/sort.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class SortTest : public OpTest {
 protected:
  std::pair<std::vector<float>, std::vector<std::int32_t>> sorted(const std::vector<float>& score) {
    std::vector<std::int32_t> ids(score.size());
    std::iota(ids.begin(), ids.end(), 0);
    const auto on_score = upload(score);
    const auto on_ids = upload(ids);
    const auto out_score = empty<float>(score.size());
    const auto out_ids = empty<std::int32_t>(score.size());
    const auto n = static_cast<std::int64_t>(score.size());
    const auto workspace = empty<std::byte>(sort_workspace_bytes(device(), n));
    sort_by_score(stream(), {on_score, on_ids, out_score, out_ids, n, workspace, workspace.n});
    return {download(out_score), download(out_ids)};
  }
};

TEST_P(SortTest, AscendsAndKeepsTheOrderOfEqualScores) {
  for (const std::size_t n :
       {std::size_t{1}, std::size_t{2}, std::size_t{31}, std::size_t{1000}, std::size_t{50001}}) {
    std::vector<float> score = random_values(n, 3);
    for (float& value : score) value = std::round(value * 20) / 20;  // many ties, and zeros of both signs
    score[n / 2] = INFINITY;
    score[n / 3] = -INFINITY;
    std::vector<std::int32_t> want(n);
    std::iota(want.begin(), want.end(), 0);
    std::stable_sort(want.begin(), want.end(),
                     [&](std::int32_t a, std::int32_t b) { return score[a] < score[b]; });
    const auto [values, ids] = sorted(score);
    EXPECT_EQ(ids, want) << n;
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(values[i], score[want[i]]) << i;
  }
}

TEST_P(SortTest, RejectsInvalidArguments) {
  const auto score = upload<float>({1});
  const auto ids = upload<std::int32_t>({0});
  EXPECT_THROW(sort_by_score(stream(), {score, ids, score, ids, 0, nullptr, 0}), Error);
  EXPECT_THROW(sort_by_score(stream(), {score, ids, score, ids, std::int64_t{1} << 31, nullptr, 0}), Error);
  EXPECT_THROW(sort_by_score(stream(), {score, nullptr, score, ids, 1, nullptr, 0}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, SortTest, testing::ValuesIn(every_device()), name_of_case);

}  // namespace
}  // namespace tdds::test
