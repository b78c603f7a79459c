#include "kernels/ops/kl_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

// d of two visits of one sample, in long double.
double exact(const float* now, const float* before, int classes) {
  const auto logs = [&](const float* z) {
    const auto top = static_cast<int>(std::max_element(z, z + classes) - z);
    long double rest = 0;
    for (int c = 0; c < classes; ++c)
      rest += c == top ? 0 : std::exp(static_cast<long double>(z[c]) - z[top]);
    std::vector<long double> log_p(z, z + classes);
    for (long double& log : log_p) log -= z[top] + std::log1p(rest);
    return log_p;
  };
  const auto now_log = logs(now), before_log = logs(before);
  long double sum = 0;
  for (int c = 0; c < classes; ++c)
    sum += std::abs(std::exp(now_log[c]) *
                    (std::log(std::exp(now_log[c]) + 1e-8L) - std::log(std::exp(before_log[c]) + 1e-8L)));
  return static_cast<double>(sum);
}

// Two visits of every sample, with ids in descending order.
std::vector<double> two_visits(const std::vector<float>& before, const std::vector<float>& now, int classes) {
  const auto rows = static_cast<std::int64_t>(now.size()) / classes;
  std::vector<std::int64_t> ids(static_cast<std::size_t>(rows));
  std::iota(ids.rbegin(), ids.rend(), 0);
  std::vector<float> previous_logits(now.size());
  std::vector<cpu::VisitNorm> previous(ids.size());
  std::vector<double> kl(ids.size(), -1), scratch(2 * static_cast<std::size_t>(classes)), by_row;
  cpu::KlRowsArgs args{
      before.data(), ids.data(), previous_logits.data(), previous.data(), nullptr, scratch.data(),
      rows,          classes};
  EXPECT_EQ(cpu::kl_rows(args), -1);
  args.logits = now.data();
  args.kl = kl.data();
  EXPECT_EQ(cpu::kl_rows(args), -1);
  for (const std::int64_t id : ids) by_row.push_back(kl[static_cast<std::size_t>(id)]);
  return by_row;
}

void expect_exact(const std::vector<float>& before, const std::vector<float>& now, int classes) {
  std::vector<double> want;
  for (std::size_t at = 0; at < now.size(); at += static_cast<std::size_t>(classes))
    want.push_back(exact(&now[at], &before[at], classes));
  // The logarithms are accurate to 1e-12 for values of up to 18.
  expect_near(two_visits(before, now, classes), want, 1e-10, 1e-9, fmt::format("{} classes", classes));
}

TEST(KlRowsTest, MatchesTheFormulaOnRandomVisits) {
  for (const int classes : {2, 3, 10, 17, 100})
    for (const double std : {0.3, 3.0, 30.0}) {
      const auto n = 37 * static_cast<std::size_t>(classes);
      expect_exact(random_values(n, 1, 0, std), random_values(n, 2, 0, std), classes);
    }
}

// The largest logit occurs several times, in this visit, the previous one or both: one of them is the top
// class, and the rest count as other classes.
TEST(KlRowsTest, MatchesTheFormulaForTiedLargestLogits) {
  for (const int classes : {2, 3, 10, 17}) {
    const auto n = 40 * static_cast<std::size_t>(classes);
    std::vector<float> before = random_values(n, 3), now = random_values(n, 4);
    for (float& z : before) z = std::clamp(std::round(z), -2.0f, 1.0f);
    for (float& z : now) z = std::clamp(std::round(z), -2.0f, 1.0f);
    expect_exact(before, now, classes);
    expect_exact(now, std::vector<float>(n, 5), classes);
    expect_exact(std::vector<float>(n, 5), now, classes);
  }
}

TEST(KlRowsTest, EqualVisitsAreAtDistanceZero) {
  const std::vector<float> z = random_values(50 * 10, 5, 0, 8);
  EXPECT_EQ(two_visits(z, z, 10), std::vector<double>(50, 0));
}

TEST(KlRowsTest, StopsAtTheFirstRowThatIsNotFinite) {
  for (const float bad : {INFINITY, -INFINITY, std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> z = random_values(5 * 3, 6), kept(15);
    z[3 * 3 + 2] = z[4 * 3] = bad;
    std::vector<std::int64_t> ids{0, 1, 2, 3, 4};
    std::vector<cpu::VisitNorm> previous(5);
    std::vector<double> scratch(6);
    EXPECT_EQ(
        cpu::kl_rows({z.data(), ids.data(), kept.data(), previous.data(), nullptr, scratch.data(), 5, 3}), 3);
  }
}

}  // namespace
}  // namespace tdds::test
