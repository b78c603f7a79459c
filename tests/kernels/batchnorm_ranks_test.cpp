// Batch norm over rows that several ranks share: each has a part of them, and all get the statistics of all.
// The ranks take turns here, so what they gather is simply in one array.

#include <algorithm>

#include "kernels/numerics/round_up.h"
#include "kernels/ops/batchnorm.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

constexpr float kEps = 1e-5f, kMomentum = 0.1f;

// The rows of all ranks; each rank has group_rows of them but the last, which has the rest.
struct Shape {
  std::int64_t rows, group_rows;
  std::int32_t channels;

  int ranks() const { return static_cast<int>(ceil_div(rows, group_rows)); }
  std::int64_t rows_of(int rank) const { return std::min(group_rows, rows - rank * group_rows); }
  std::size_t n() const { return static_cast<std::size_t>(rows * channels); }
  std::size_t width() const { return static_cast<std::size_t>(channels); }
  std::string text() const { return fmt::format("[{}, {}] by {}", rows, channels, group_rows); }
};

struct Input {
  std::vector<float> x, residual, dy, weight, bias;
};

// The definition in double, of all rows. The ReLU's mask is that of the op's own y.
struct Reference {
  std::vector<double> mean, inv_std, running_mean, running_var, y;
};
struct Gradients {
  std::vector<double> dweight, dbias, dx, g;
};

Reference reference(const Shape& s, const Input& in, bool relu) {
  const auto rows = static_cast<std::size_t>(s.rows), channels = s.width();
  Reference ref{{}, {}, {}, {}, std::vector<double>(s.n())};
  for (std::size_t c = 0; c < channels; ++c) {
    double mean = 0, squares = 0;
    for (std::size_t m = 0; m < rows; ++m) mean += in.x[m * channels + c] / static_cast<double>(rows);
    for (std::size_t m = 0; m < rows; ++m) squares += std::pow(in.x[m * channels + c] - mean, 2);
    const double inv_std = 1 / std::sqrt(squares / static_cast<double>(rows) + kEps);
    ref.mean.push_back(mean);
    ref.inv_std.push_back(inv_std);
    ref.running_mean.push_back(0.9 * 2 + 0.1 * mean);
    ref.running_var.push_back(0.9 * 3 + 0.1 * squares / static_cast<double>(rows - 1));
    for (std::size_t i = c; i < s.n(); i += channels) {
      double y = (in.x[i] - mean) * inv_std * in.weight[c] + in.bias[c];
      if (!in.residual.empty()) y += in.residual[i];
      ref.y[i] = relu && y < 0 ? 0 : y;
    }
  }
  return ref;
}

Gradients gradients(const Shape& s, const Input& in, bool relu, const std::vector<float>& mean,
                    const std::vector<float>& inv_std, const std::vector<float>& y) {
  const double n = static_cast<double>(s.rows);
  Gradients want{std::vector<double>(s.width()), std::vector<double>(s.width()), std::vector<double>(s.n()),
                 std::vector<double>(s.n())};
  for (std::size_t c = 0; c < s.width(); ++c) {
    const auto xhat = [&](std::size_t i) { return (double{in.x[i]} - mean[c]) * inv_std[c]; };
    for (std::size_t i = c; i < s.n(); i += s.width()) {
      want.g[i] = !relu || y[i] > 0 ? in.dy[i] : 0;
      want.dbias[c] += want.g[i];
      want.dweight[c] += want.g[i] * xhat(i);
    }
    for (std::size_t i = c; i < s.n(); i += s.width())
      want.dx[i] =
          in.weight[c] * inv_std[c] * (want.g[i] - want.dbias[c] / n - xhat(i) * want.dweight[c] / n);
  }
  return want;
}

class BatchNormRanksTest : public OpTest {
 protected:
  // The memory of one rank.
  struct Rank {
    TypedBuffer x, residual, dy, y, dx, dresidual;
    Buffer<float> weight, bias, running_mean, running_var, mean, inv_std, dweight, dbias;
    Buffer<std::int64_t> tracked;
    Buffer<std::byte> workspace;
    Buffer<std::uint8_t> mask;
    Buffer<std::uint32_t> tickets;
    BatchNormForwardArgs forward;
    BatchNormBackwardArgs backward;
  };

  Rank make_rank(const Shape& s, const Input& in, int rank, bool relu) {
    const auto part = [&](const std::vector<float>& all) {
      if (all.empty()) return TypedBuffer{};
      const auto first = all.begin() + rank * s.group_rows * s.channels;
      return upload_typed({first, first + s.rows_of(rank) * s.channels});
    };
    const std::int64_t rows = s.rows_of(rank);
    const std::size_t n = static_cast<std::size_t>(rows) * s.width(), c = s.width();
    const std::size_t tickets = batchnorm_tickets(s.channels);
    const bool add = !in.residual.empty();
    Rank r{.x = part(in.x),
           .residual = part(in.residual),
           .dy = part(in.dy),
           .y = empty_typed(n),
           .dx = empty_typed(n),
           .dresidual = empty_typed(n),
           .weight = upload(in.weight),
           .bias = upload(in.bias),
           .running_mean = upload(std::vector<float>(c, 2)),
           .running_var = upload(std::vector<float>(c, 3)),
           .mean = empty<float>(c),
           .inv_std = empty<float>(c),
           .dweight = empty<float>(c),
           .dbias = empty<float>(c),
           .tracked = upload<std::int64_t>({41}),
           .workspace = empty<std::byte>(batchnorm_workspace_bytes(rows, s.channels)),
           .mask = empty<std::uint8_t>(batchnorm_mask_bytes(rows, s.channels, dtype())),
           .tickets = upload(std::vector<std::uint32_t>(2 * tickets, 0)),
           .forward = {},
           .backward = {}};
    r.forward = {r.x,     r.residual, r.weight,    r.bias, r.running_mean, r.running_var, r.tracked,
                 r.mean,  r.inv_std,  r.y,         rows,   s.channels,     kEps,          kMomentum,
                 dtype(), relu,       r.workspace, r.mask, r.tickets};
    r.backward = {r.x,
                  relu ? r.y.data() : nullptr,
                  r.dy,
                  r.weight,
                  r.bias,
                  r.mean,
                  r.inv_std,
                  r.dweight,
                  r.dbias,
                  r.dx,
                  add ? r.dresidual.data() : nullptr,
                  rows,
                  s.channels,
                  dtype(),
                  relu,
                  r.workspace,
                  add ? r.mask.data() : nullptr,
                  r.tickets + tickets};
    return r;
  }

  std::vector<Rank> make_ranks(const Shape& s, const Input& in, bool relu) {
    std::vector<Rank> ranks;
    ranks.reserve(static_cast<std::size_t>(s.ranks()));
    for (int rank = 0; rank < s.ranks(); ++rank) ranks.push_back(make_rank(s, in, rank, relu));
    return ranks;
  }

  // The slots of all ranks, and one of a rank without rows, which nobody reads.
  Buffer<float> make_slots(const Shape& s) { return empty<float>(2 * s.width() * (s.ranks() + 1)); }
  static BatchNormPartials gathered(const Shape& s, const Buffer<float>& slots) {
    return {.groups = slots, .group_rows = s.group_rows, .total_rows = s.rows};
  }

  void run_forward(const Shape& s, std::vector<Rank>& ranks) {
    const Buffer<float> slots = make_slots(s);
    for (std::size_t r = 0; r < ranks.size(); ++r)
      batchnorm_moments(stream(), {.forward = ranks[r].forward, .moments = slots + r * 2 * s.width()});
    for (Rank& rank : ranks) {
      rank.forward.partials = gathered(s, slots);
      batchnorm_forward(stream(), rank.forward);
    }
    stream().synchronize();
  }

  void run_backward(const Shape& s, std::vector<Rank>& ranks) {
    const Buffer<float> slots = make_slots(s);
    for (std::size_t r = 0; r < ranks.size(); ++r)
      batchnorm_sums(stream(), {.backward = ranks[r].backward, .sums = slots + r * 2 * s.width()});
    for (Rank& rank : ranks) {
      rank.backward.partials = gathered(s, slots);
      batchnorm_backward(stream(), rank.backward);
    }
    stream().synchronize();
  }

  std::vector<float> joined(const std::vector<Rank>& ranks, TypedBuffer Rank::*part) {
    std::vector<float> all;
    for (const Rank& rank : ranks) {
      const std::vector<float> one = download(rank.*part);
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
  std::vector<double> added(const std::vector<Rank>& ranks, Buffer<float> Rank::*part) {
    std::vector<double> sum;
    for (const Rank& rank : ranks) {
      const std::vector<float> one = download(rank.*part);
      sum.resize(one.size());
      for (std::size_t i = 0; i < one.size(); ++i) sum[i] += one[i];
    }
    return sum;
  }

  void expect_forward(const Shape& s, const Input& in, bool relu, std::vector<Rank>& ranks) {
    const Reference want = reference(s, in, relu);
    const Rank& first = ranks[0];
    expect_near(download(first.mean), want.mean, 1e-6, 0, s.text());
    expect_near(download(first.inv_std), want.inv_std, 0, 2e-6, s.text());
    expect_near(download(first.running_mean), want.running_mean, 0, 1e-6, s.text());
    expect_near(download(first.running_var), want.running_var, 0, 2e-6, s.text());
    expect_near(joined(ranks, &Rank::y), want.y, tolerance(dtype(), 8), 0, s.text());
    for (const Rank& rank : ranks) {
      EXPECT_EQ(download(rank.mean), download(first.mean));
      EXPECT_EQ(download(rank.inv_std), download(first.inv_std));
      EXPECT_EQ(download(rank.running_mean), download(first.running_mean));
      EXPECT_EQ(download(rank.running_var), download(first.running_var));
      EXPECT_EQ(download(rank.tracked)[0], 42);
    }
  }

  void expect_backward(const Shape& s, const Input& in, bool relu, std::vector<Rank>& ranks) {
    const std::vector<float> inv_std = download(ranks[0].inv_std);
    const Gradients want = gradients(s, in, relu, download(ranks[0].mean), inv_std, joined(ranks, &Rank::y));
    // As in batchnorm_test.cpp: sums of `rows` numbers of size 1, and dx of the size of 1/std.
    const double sum = 1e-6 * std::sqrt(static_cast<double>(s.rows)) + 1e-6;
    const double largest = std::max(1.0f, *std::max_element(inv_std.begin(), inv_std.end()));
    expect_near(added(ranks, &Rank::dbias), want.dbias, sum, 0, s.text());
    expect_near(added(ranks, &Rank::dweight), want.dweight, sum, 0, s.text());
    expect_near(joined(ranks, &Rank::dx), want.dx, tolerance(dtype(), 10 * largest), 0, s.text());
    if (!in.residual.empty()) expect_near(joined(ranks, &Rank::dresidual), want.g, 0, 0, s.text());
  }

  void expect_all(const Shape& s, const Input& in, bool relu) {
    std::vector<Rank> ranks = make_ranks(s, in, relu);
    run_forward(s, ranks);
    expect_forward(s, in, relu, ranks);
    run_backward(s, ranks);
    expect_backward(s, in, relu, ranks);
  }

  Input input_of(const Shape& s, bool residual) const {
    return {.x = rounded(random_values(s.n(), 1, 0.5, 2)),
            .residual = residual ? rounded(random_values(s.n(), 2)) : std::vector<float>{},
            .dy = rounded(random_values(s.n(), 3)),
            .weight = random_values(s.width(), 4, 1, 0.3),
            .bias = random_values(s.width(), 5)};
  }
};

// One part, two and three, with a last one that is shorter, down to a single row; channels that a vector
// divides and others; more tiles than a group of the GPU's kernels has.
const Shape kShapes[] = {{130, 130, 5}, {1000, 500, 64}, {1000, 600, 24}, {129, 50, 16},
                         {101, 50, 9},  {33, 16, 520},   {7, 3, 3},       {12000, 5000, 8}};

TEST_P(BatchNormRanksTest, StatisticsAndGradientsAreThoseOfAllRows) {
  for (const Shape& s : kShapes)
    for (const bool relu : {false, true})
      for (const bool residual : {false, true}) {
        expect_all(s, input_of(s, residual), relu);
      }
}

// Ranks whose rows differ by much more than within each: all of the variance is between them.
TEST_P(BatchNormRanksTest, TheVarianceBetweenRanksCounts) {
  const Shape s{300, 100, 16};
  Input in = input_of(s, false);
  for (std::size_t i = 0; i < s.n(); ++i) {
    const std::size_t rank = i / 1600;
    in.x[i] = rounded_to(dtype(), in.x[i] / 8 + 4 * static_cast<float>(rank));
  }
  expect_all(s, in, true);
}

TEST_P(BatchNormRanksTest, NoCancellationWhereTheMeanIsAThousandDeviations) {
  if (dtype() != DType::kF32) GTEST_SKIP() << "16-bit types cannot represent such values";
  const Shape s{4096, 1500, 24};
  Input in = input_of(s, false);
  in.x = random_values(s.n(), 6, 1000, 1);
  std::vector<Rank> ranks = make_ranks(s, in, false);
  run_forward(s, ranks);
  const Reference want = reference(s, in, false);
  // E[x^2] - mean^2 in fp32 would be off by a tenth here. Means are rounded to half a step of 6.1e-5, those
  // of ranks and that of all. Those of ranks differ by 0.05, so the variance is off by the product of the
  // two.
  expect_near(download(ranks[0].inv_std), want.inv_std, 0, 2e-6);
  expect_near(download(ranks[0].mean), want.mean, 6.2e-5);
}

// What a convolution has left of a rank's rows, in groups, is merged to one.
TEST_P(BatchNormRanksTest, PartialsOfAConvolutionAreMerged) {
  const Shape s{250, 64, 12};  // as groups here
  const Input in = input_of(s, false);
  const std::size_t c = s.width(), n = static_cast<std::size_t>(s.ranks()) * 2 * c;
  Rank whole = make_rank({250, 250, 12}, in, 0, false);
  std::vector<Rank> groups = make_ranks(s, in, false);
  const auto left = empty<float>(n), merged = empty<float>(4 * c), direct = empty<float>(4 * c);
  batchnorm_forward(stream(), whole.forward);
  std::vector<float> mean = download(whole.mean), inv_std = download(whole.inv_std);
  const std::size_t tickets = batchnorm_tickets(s.channels);
  const auto zero_tickets = [&](Rank& r) {
    stream().zero(r.tickets.data(), 2 * tickets * sizeof(std::uint32_t));
  };
  zero_tickets(whole);
  batchnorm_moments(stream(), {whole.forward, direct});
  batchnorm_sums(stream(), {whole.backward, direct + 2 * c});
  const std::vector<float> dweight = download(whole.dweight), dbias = download(whole.dbias);
  for (std::size_t g = 0; g < groups.size(); ++g)
    batchnorm_moments(stream(), {groups[g].forward, left + g * 2 * c});
  whole.forward.partials = {left, s.group_rows};
  batchnorm_moments(stream(), {whole.forward, merged});
  stream().synchronize();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    groups[g].backward.mean = whole.mean;
    groups[g].backward.inv_std = whole.inv_std;
    batchnorm_sums(stream(), {groups[g].backward, left + g * 2 * c});
  }
  whole.backward.partials = {left, s.group_rows};
  batchnorm_sums(stream(), {whole.backward, merged + 2 * c});
  // Sums of 250 numbers of size 1 to 4, in another order.
  expect_near(download(merged), download(direct), 1e-4, 1e-6);
  expect_near(download(whole.dweight), dweight, 1e-4, 1e-6);
  expect_near(download(whole.dbias), dbias, 1e-4, 1e-6);
}

TEST_P(BatchNormRanksTest, ThreadsDoNotChangeABit) {
  if (!is_cpu()) GTEST_SKIP() << "only the CPU uses OpenMP threads";
  const Shape s{9000, 5000, 24};
  const Input in = input_of(s, true);
  const auto run = [&](int threads) {
    const ThreadCount guard(threads);
    std::vector<Rank> ranks = make_ranks(s, in, true);
    run_forward(s, ranks);
    run_backward(s, ranks);
    return std::tuple{joined(ranks, &Rank::y), joined(ranks, &Rank::dx), added(ranks, &Rank::dweight)};
  };
  const auto first = run(1);
  for (const int threads : {2, 3}) EXPECT_EQ(run(threads), first);
}

TEST_P(BatchNormRanksTest, RejectsInvalidArguments) {
  const Shape s{4, 2, 3};
  const Input in = input_of(s, false);
  Rank rank = make_rank(s, in, 0, true);
  const Buffer<float> slots = make_slots(s);
  EXPECT_THROW(batchnorm_moments(stream(), {rank.forward, nullptr}), Error);
  EXPECT_THROW(batchnorm_sums(stream(), {rank.backward, nullptr}), Error);
  rank.forward.partials = rank.backward.partials = gathered(s, slots);
  EXPECT_THROW(batchnorm_moments(stream(), {rank.forward, slots}), Error) << "of all ranks";
  EXPECT_THROW(batchnorm_sums(stream(), {rank.backward, slots}), Error) << "of all ranks";
  rank.forward.partials.total_rows = rank.backward.partials.total_rows = 1;
  EXPECT_THROW(batchnorm_forward(stream(), rank.forward), Error) << "one row in all";
  EXPECT_THROW(batchnorm_backward(stream(), rank.backward), Error) << "one row in all";
  rank.backward.partials.total_rows = 0;
  EXPECT_THROW(batchnorm_backward(stream(), rank.backward), Error) << "of a convolution, with a ReLU";
}

INSTANTIATE_TEST_SUITE_P(Devices, BatchNormRanksTest, testing::ValuesIn(every_device_and_type()),
                         name_of_case);

}  // namespace
}  // namespace tdds::test
