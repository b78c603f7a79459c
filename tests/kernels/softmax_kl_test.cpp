#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

// The accuracy of the contract at every confidence. float32 has a relative error of 6e-8 in each result.
// log(p + 1e-8) is at most 18.5, and half a unit in its last place is 9.5e-7 of a difference of order 1.
constexpr double kRelative = 1e-5;

// The results of one sample by the textbook formulas in long double, whose 19 digits suffice despite
// cancellation.
struct Truth {
  std::vector<double> logp, dlogits;
  double loss, log_other, entropy = 0, el2n;
};

Truth truth(const float* z, int classes, int label) {
  const auto top = static_cast<int>(std::max_element(z, z + classes) - z);
  long double rest = 0, miss = 0, squares = 0;
  for (int c = 0; c < classes; ++c) rest += c == top ? 0 : std::exp(static_cast<long double>(z[c]) - z[top]);
  const auto log_p = [&](int c) { return static_cast<long double>(z[c]) - z[top] - std::log1p(rest); };
  Truth t;
  long double largest_other = -INFINITY;
  for (int c = 0; c < classes; ++c) {
    const long double p = std::exp(log_p(c));
    t.logp.push_back(std::log(p + 1e-8L));
    t.dlogits.push_back(p);
    if (p > 0) t.entropy -= p * log_p(c);
    if (c == label) continue;
    miss += p;
    squares += p * p;
    largest_other = std::max(largest_other, log_p(c));
  }
  t.dlogits[label] = -miss;
  t.loss = -log_p(label);
  t.log_other = largest_other;
  t.el2n = std::sqrt(miss * miss + squares);
  return t;
}

// The sum with the absolute value of each class's term, and without.
struct Divergences {
  double absolute = 0, true_kl = 0;
};
Divergences divergences(const Truth& now, const Truth& before) {
  Divergences sum;
  for (std::size_t c = 0; c < now.logp.size(); ++c) {
    const double p = now.dlogits[c] < 0 ? 1 + now.dlogits[c] : now.dlogits[c];
    const double term = p * (now.logp[c] - before.logp[c]);
    sum.absolute += std::abs(term);
    sum.true_kl += term;
  }
  return sum;
}

struct Batch {
  std::vector<float> logits;
  std::vector<std::int32_t> labels, order;
  int batch = 0, classes = 0;
};

// Sample ids are in descending order, so that confusing row and id is detected.
Batch make_batch(int batch, int classes, std::uint64_t seed, double std = 2) {
  Batch b;
  b.batch = batch;
  b.classes = classes;
  b.logits = random_values(static_cast<std::size_t>(batch) * classes, seed, 0, std);
  for (int i = 0; i < batch; ++i) {
    b.labels.push_back((i * 7 + 3) % classes);
    b.order.push_back(batch - 1 - i);
  }
  return b;
}

struct Outputs {
  std::vector<float> kl, true_kl, loss, log_other, entropy, el2n, dlogits, logp, visits;
  std::vector<std::uint8_t> correct, top5;
};

class SoftmaxKlTest : public OpTest {
 protected:
  // One visit of the batch in each epoch; returns the results of the last.
  Outputs visit(const Batch& b, const std::vector<std::vector<float>>& epochs, float loss_scale = 1,
                const std::vector<float>& weights = {}, float smoothing = 0) {
    const auto n = static_cast<std::size_t>(b.batch), k = static_cast<std::size_t>(b.classes);
    auto labels = upload(b.labels), order = upload(b.order);
    auto kl = empty<float>(n), true_kl = empty<float>(n), loss = empty<float>(n), other = empty<float>(n),
         entropy = empty<float>(n), el2n = empty<float>(n), dlogits = empty<float>(n * k),
         prev = empty<float>(n * k), visits = empty<float>(n * k), weight = empty<float>(1);
    auto correct = empty<std::uint8_t>(n), top5 = empty<std::uint8_t>(n);
    std::vector<Buffer<float>> kept;
    for (std::size_t e = 0; e < epochs.size(); ++e) {
      auto state = upload<StepState>({state_at(0, 0, static_cast<std::int32_t>(e))});
      kept.push_back(upload(epochs[e]));
      if (!weights.empty()) {
        kept.push_back(upload(weights));
        batch_weight(stream(), {kept.back(), order, state, weight, b.batch});
      }
      softmax_kl(stream(), {.logits = kept[weights.empty() ? e : 2 * e],
                            .labels = labels,
                            .order = order,
                            .state = state,
                            .dlogits = dlogits,
                            .prev_logp = prev,
                            .visit_logits = visits,
                            .out = {kl, true_kl, loss, other, entropy, el2n, correct, top5},
                            .batch_weight = weights.empty() ? nullptr : weight.data(),
                            .loss_scale = loss_scale,
                            .smoothing = smoothing,
                            .batch = b.batch,
                            .classes = b.classes});
      stream().synchronize();
    }
    return {download(kl),      download(true_kl), download(loss),    download(other),
            download(entropy), download(el2n),    download(dlogits), download(prev),
            download(visits),  download(correct), download(top5)};
  }
};

TEST_P(SoftmaxKlTest, KnownValues) {
  // p = (1/2, 1/4, 1/4).
  Batch b{{std::log(2.0f), 0, 0}, {1}, {0}, 1, 3};
  const Outputs out = visit(b, {b.logits});
  EXPECT_FLOAT_EQ(out.loss[0], std::log(4.0f));
  EXPECT_FLOAT_EQ(out.log_other[0], std::log(0.5f));
  EXPECT_FLOAT_EQ(out.entropy[0], 1.5f * std::log(2.0f));
  EXPECT_FLOAT_EQ(out.el2n[0], std::sqrt(0.25f + 0.5625f + 0.0625f));
  EXPECT_EQ(out.correct[0], 0);
  EXPECT_EQ(out.kl[0], 0);
  EXPECT_EQ(out.true_kl[0], 0);
  expect_near(out.dlogits, std::vector<float>{0.5f, -0.75f, 0.25f}, 1e-7);
  EXPECT_EQ(out.visits, b.logits);
}

TEST_P(SoftmaxKlTest, AccurateAtEveryConfidence) {
  const double confidences[] = {0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999998, 0.9999997, 0.9999999};
  for (const int classes : {2, 10, 100, 1000}) {
    // Each confidence once in the label and once in another class.
    Batch b = make_batch(2 * static_cast<int>(std::size(confidences)), classes, 11);
    std::vector<float> before = random_values(b.logits.size(), 12, 0, 2), now = b.logits;
    for (int row = 0; row < b.batch; ++row) {
      const int label = b.labels[b.order[row]], sure = row % 2 ? (label + 1) % classes : label;
      const double p = confidences[row / 2];
      float* z = &now[static_cast<std::size_t>(row) * classes];
      double others = 0;
      for (int c = 0; c < classes; ++c) others += c == sure ? 0 : std::exp(z[c]);
      z[sure] = static_cast<float>(std::log(p / (1 - p) * others));
      // The previous visit had nearly the same confidence, which is the hardest case for a difference.
      before[static_cast<std::size_t>(row) * classes + sure] = z[sure] + 0.25f;
    }
    const Outputs out = visit(b, {before, now});
    for (int row = 0; row < b.batch; ++row) {
      const int id = b.order[row];
      const std::size_t at = static_cast<std::size_t>(row) * classes;
      const Truth want = truth(&now[at], classes, b.labels[id]);
      const Truth last = truth(&before[at], classes, b.labels[id]);
      const auto near = [&](const char* what, double got, double exact) {
        EXPECT_NEAR(got, exact, kRelative * std::abs(exact))
            << what << ", row " << row << " of K " << classes;
      };
      near("loss", out.loss[id], want.loss);
      near("log_other", out.log_other[id], want.log_other);
      near("entropy", out.entropy[id], want.entropy);
      near("el2n", out.el2n[id], want.el2n);
      const Divergences exact = divergences(want, last);
      near("kl", out.kl[id], exact.absolute);
      EXPECT_NEAR(out.true_kl[id], exact.true_kl, kRelative * exact.absolute) << row << " of K " << classes;
      const auto begin = now.begin() + static_cast<std::ptrdiff_t>(at);
      EXPECT_EQ(out.correct[id], std::max_element(begin, begin + classes) - begin == b.labels[id]) << row;
      for (int c = 0; c < classes; ++c) {
        near("dlogits", out.dlogits[at + c], want.dlogits[c] / b.batch);
        near("logp", out.logp[static_cast<std::size_t>(id) * classes + c], want.logp[c]);
      }
    }
  }
}

// The CPU evaluates in double, so each result is rounded once: by half a unit in the last place, 2^-24, and
// hardly more. Thirds of the gradient are no float32 numbers. 1e-14 is for the cancelled digits of doubles.
TEST_P(SoftmaxKlTest, TheReferenceRoundsEachResultOnce) {
  if (!is_cpu()) GTEST_SKIP() << "GPUs evaluate in float32";
  for (const float smoothing : {0.0f, 0.1f})
    for (const int classes : {2, 10, 100}) {
      const Batch b = make_batch(3, classes, 13);
      const std::vector<float> before = random_values(b.logits.size(), 14, 0, 2);
      const Outputs out = visit(b, {before, b.logits}, 1, {}, smoothing);
      for (int row = 0; row < b.batch; ++row) {
        const int id = b.order[row], label = b.labels[id];
        const std::size_t at = static_cast<std::size_t>(row) * classes;
        const auto near = [&](const char* what, double got, double exact) {
          EXPECT_NEAR(got, exact, unit_roundoff(DType::kF32) * (1 + 1e-6) * std::abs(exact) + 1e-14)
              << what << ", row " << row << " of K " << classes;
        };
        Truth want = truth(&b.logits[at], classes, label), last = truth(&before[at], classes, label);
        near("loss", out.loss[id], want.loss);
        near("log_other", out.log_other[id], want.log_other);
        near("entropy", out.entropy[id], want.entropy);
        near("el2n", out.el2n[id], want.el2n);
        // The logs are stored as float32, and the divergences are those of the stored logs.
        for (Truth* visited : {&want, &last})
          for (double& logp : visited->logp) logp = static_cast<float>(logp);
        const Divergences exact = divergences(want, last);
        near("kl", out.kl[id], exact.absolute);
        near("true_kl", out.true_kl[id], exact.true_kl);
        for (int c = 0; c < classes; ++c) {
          EXPECT_EQ(out.logp[static_cast<std::size_t>(id) * classes + c], want.logp[c]);
          const double own = c == label ? double{smoothing} : 0;
          near("dlogits", out.dlogits[at + c], (want.dlogits[c] + own - double{smoothing} / classes) / 3);
        }
      }
    }
}

// For a sample that hardly changes, d is a difference of logs stored as float32, so its accuracy is relative
// to the logs.
TEST_P(SoftmaxKlTest, DivergencesAreAccurateRelativeToTheirLogs) {
  for (const int classes : {2, 10, 100})
    for (const float gap : {0.0f, 5.0f, 15.0f})
      for (const float step : {1e-1f, 1e-3f, 1e-5f}) {
        Batch b = make_batch(20, classes, 17);
        for (int row = 0; row < b.batch; ++row) b.logits[static_cast<std::size_t>(row) * classes] += gap;
        std::vector<float> before = b.logits;
        for (std::size_t i = 0; i < before.size(); ++i) before[i] += i % 3 ? step : -step;
        const Outputs out = visit(b, {before, b.logits});
        for (int row = 0; row < b.batch; ++row) {
          const std::size_t at = static_cast<std::size_t>(row) * classes;
          const Truth now = truth(&b.logits[at], classes, 0), last = truth(&before[at], classes, 0);
          double logs = 0;
          for (std::size_t c = 0; c < now.logp.size(); ++c)
            logs += std::exp(now.logp[c]) * (std::abs(now.logp[c]) + std::abs(last.logp[c]));
          const Divergences exact = divergences(now, last);
          EXPECT_NEAR(out.kl[b.order[row]], exact.absolute, 1e-6 * logs)
              << classes << " " << gap << " " << step;
          EXPECT_NEAR(out.true_kl[b.order[row]], exact.true_kl, 1e-6 * logs)
              << classes << " " << gap << " " << step;
        }
      }
}

// From a gap of 17 on, p rounds to 1 in float32, and from 37 on in double, so 1 - p and the values derived
// from it must be computed as a sum of the other classes. Beyond 87 it is less than the smallest normal
// float32, and must still be finite.
TEST_P(SoftmaxKlTest, WideGapsKeepTheDigitsOfOneMinusP) {
  for (const float gap : {20.0f, 27.0f, 33.0f, 46.0f, 60.0f, 80.0f, 89.0f, 95.0f, 200.0f}) {
    const Batch b{{gap, 0, -1, 0.5f, gap, 0, -1, 0.5f}, {0, 1}, {0, 1}, 2, 4};
    const Outputs out = visit(b, {b.logits});
    for (int id = 0; id < 2; ++id) {
      const Truth want = truth(&b.logits[std::size_t{4} * id], 4, id);
      const auto near = [&](const char* what, double got, double exact) {
        EXPECT_NEAR(got, exact, kRelative * std::abs(exact) + std::numeric_limits<float>::min())
            << what << " of label " << id << " at a gap of " << gap;
      };
      near("loss", out.loss[id], want.loss);
      near("log_other", out.log_other[id], want.log_other);
      near("entropy", out.entropy[id], want.entropy);
      near("el2n", out.el2n[id], want.el2n);
      for (std::size_t c = 0; c < 4; ++c) near("dlogits", out.dlogits[4 * id + c], want.dlogits[c] / 2);
    }
  }
}

// 0 log 0 = 0: a class with probability 0 adds nothing to any result.
TEST_P(SoftmaxKlTest, ALogitOfMinusInfinityIsAProbabilityOfZero) {
  const Batch b{{1, -INFINITY, 0}, {0}, {0}, 1, 3}, without{{1, 0}, {0}, {0}, 1, 2};
  const Outputs out = visit(b, {b.logits, b.logits}), want = visit(without, {without.logits, without.logits});
  EXPECT_EQ(out.loss, want.loss);
  EXPECT_EQ(out.log_other, want.log_other);
  EXPECT_EQ(out.entropy, want.entropy);
  EXPECT_EQ(out.el2n, want.el2n);
  EXPECT_EQ(out.kl, want.kl);
  EXPECT_EQ(out.dlogits, (std::vector<float>{want.dlogits[0], 0, want.dlogits[1]}));
}

TEST_P(SoftmaxKlTest, SmallChangesOfASureSampleKeepTheirDigits) {
  // p_y = 0.999998 in both visits, and the others change by a factor of 2: in float32 this d has an error of
  // 4 %.
  Batch b{{14.0f, 0, -1, 0.5f}, {0}, {0}, 1, 4};
  const std::vector<float> before{14.0f, 0.7f, -0.3f, 1.2f};
  const Outputs out = visit(b, {before, b.logits});
  const Divergences want = divergences(truth(b.logits.data(), 4, 0), truth(before.data(), 4, 0));
  EXPECT_NEAR(out.kl[0], want.absolute, kRelative * want.absolute);
  // The terms cancel to a fifth here.
  EXPECT_NEAR(out.true_kl[0], want.true_kl, kRelative * std::abs(want.true_kl));
}

TEST_P(SoftmaxKlTest, EqualVisitsHaveNoDivergence) {
  const Batch b = make_batch(16, 100, 21, 6);
  const Outputs out = visit(b, {b.logits, b.logits});
  EXPECT_EQ(out.kl, std::vector<float>(16, 0));
  EXPECT_EQ(out.true_kl, std::vector<float>(16, 0));
}

TEST_P(SoftmaxKlTest, GradientRowsSumToZeroAndMatchDifferences) {
  const Batch b = make_batch(6, 10, 31);
  const Outputs out = visit(b, {b.logits}, 4);
  const auto mean_loss = [&](const std::vector<double>& z) {
    double sum = 0;
    for (int row = 0; row < b.batch; ++row) {
      double total = 0;
      for (int c = 0; c < b.classes; ++c) total += std::exp(z[row * b.classes + c]);
      sum += std::log(total) - z[row * b.classes + b.labels[b.order[row]]];
    }
    return 4 * sum / b.batch;
  };
  // Differences of a loss near 10 with h = 1e-5: 10 * 1e-16 / 1e-5 = 1e-10, and float32 results of size 1.
  expect_near(out.dlogits, numeric_gradient(mean_loss, as_double(b.logits)), 1e-7);
  for (int row = 0; row < b.batch; ++row) {
    const auto begin = out.dlogits.begin() + row * b.classes;
    EXPECT_NEAR(std::accumulate(begin, begin + b.classes, 0.0), 0, 1e-7);
  }
}

TEST_P(SoftmaxKlTest, BatchWeightIsTheMeanAndScalesTheGradientAlone) {
  const Batch b = make_batch(8, 10, 41);
  const std::vector<float> weights{0.1f, 0.9f, 0.3f, 0.5f, 1, 0, 0.25f, 0.75f};
  const Outputs plain = visit(b, {b.logits}), weighted = visit(b, {b.logits}, 1024, weights);
  std::vector<double> want = as_double(plain.dlogits);
  for (double& value : want) value *= 1024 * (3.8 / 8);
  expect_near(weighted.dlogits, want, 0, 4 * unit_roundoff(DType::kF32), "dlogits");
  EXPECT_EQ(weighted.loss, plain.loss);
}

// In float32 the small weights would be lost next to the large one: a sum of 1e8 has steps of 8.
TEST_P(SoftmaxKlTest, TheMeanOfTheBatchWeightsIsTakenInDouble) {
  constexpr std::int32_t kBatch = 1025;
  std::vector<float> weights(kBatch, 1);
  std::vector<std::int32_t> order(kBatch);
  std::iota(order.begin(), order.end(), 0);
  weights[3] = 1e8f;
  auto mean = empty<float>(1);
  auto weight_memory = upload(weights);
  auto order_memory = upload(order);
  auto state = upload<StepState>({state_at(0, 0, 0)});
  batch_weight(stream(), {weight_memory, order_memory, state, mean, kBatch});
  EXPECT_EQ(download(mean)[0], static_cast<float>((1e8 + kBatch - 1) / kBatch));
}

TEST_P(SoftmaxKlTest, TiesGoToTheLowestIndex) {
  Batch b{{1, 3, 3, 3, 3, 0}, {1, 0}, {0, 1}, 2, 3};
  EXPECT_EQ(visit(b, {b.logits}).correct, (std::vector<std::uint8_t>{1, 1}));
  b.labels = {2, 1};
  EXPECT_EQ(visit(b, {b.logits}).correct, (std::vector<std::uint8_t>{0, 0}));
}

TEST_P(SoftmaxKlTest, TopFiveCountsTheClassesBeforeTheLabel) {
  Batch b = make_batch(40, 12, 52);
  for (float& z : b.logits) z = std::round(z);  // many ties
  const auto got = visit(b, {b.logits}).top5;
  for (int row = 0; row < b.batch; ++row) {
    const int id = b.order[row];
    const float* z = &b.logits[static_cast<std::size_t>(row) * 12];
    std::vector<int> classes(12);
    std::iota(classes.begin(), classes.end(), 0);
    std::stable_sort(classes.begin(), classes.end(), [&](int x, int y) { return z[x] > z[y]; });
    const bool want = std::find(classes.begin(), classes.begin() + 5, b.labels[id]) != classes.begin() + 5;
    EXPECT_EQ(got[id], want) << id;
  }
}

// PyTorch's label smoothing a: the loss is (1 - a) times -log p of the label plus a / K times -log p of every
// class.
TEST_P(SoftmaxKlTest, SmoothedGradientMatchesDifferences) {
  constexpr float kSmoothing = 0.1f;
  for (const int classes : {3, 100, 1200}) {
    Batch b = make_batch(2, classes, 53);
    const Outputs plain = visit(b, {b.logits}), smooth = visit(b, {b.logits}, 1, {}, kSmoothing);
    EXPECT_EQ(smooth.loss, plain.loss);
    const auto loss = [&](const std::vector<double>& z) {
      double sum = 0;
      for (int row = 0; row < 2; ++row) {
        const double* at = &z[static_cast<std::size_t>(row) * classes];
        double total = 0, mean = 0;
        for (int c = 0; c < classes; ++c) total += std::exp(at[c]);
        for (int c = 0; c < classes; ++c) mean += (std::log(total) - at[c]) / classes;
        const double own = std::log(total) - at[b.labels[b.order[row]]];
        sum += (1 - double{kSmoothing}) * own + kSmoothing * mean;
      }
      return sum / 2;
    };
    expect_near(smooth.dlogits, numeric_gradient(loss, as_double(b.logits)), 1e-6);
  }
}

TEST_P(SoftmaxKlTest, CursorSelectsTheBatchAndNullOutputsAreSkipped) {
  const std::vector<float> logits = random_values(2 * 3, 51);
  auto z = upload(logits), loss = empty<float>(5), visits = empty<float>(5 * 3);
  auto labels = upload<std::int32_t>({0, 1, 2, 0, 1}), order = upload<std::int32_t>({4, 2, 0, 3, 1});
  auto state = upload<StepState>({state_at(9, 2, 3)});
  softmax_kl(stream(), {.logits = z,
                        .labels = labels,
                        .order = order,
                        .state = state,
                        .dlogits = nullptr,
                        .prev_logp = nullptr,
                        .visit_logits = visits,
                        .out = {.loss = loss},
                        .batch_weight = nullptr,
                        .loss_scale = 1,
                        .batch = 2,
                        .classes = 3});
  const std::vector<float> got = download(loss), rows = download(visits);
  EXPECT_NEAR(got[0], truth(&logits[0], 3, 0).loss, 1e-6);
  EXPECT_NEAR(got[3], truth(&logits[3], 3, 0).loss, 1e-6);
  for (const int id : {1, 2, 4}) EXPECT_TRUE(std::isnan(got[id])) << id;
  EXPECT_TRUE(std::equal(logits.begin(), logits.end(), rows.begin() + 2 * 3));
  EXPECT_TRUE(std::isnan(rows[5]) && std::isnan(rows[12]));
}

TEST_P(SoftmaxKlTest, RejectsInvalidArguments) {
  if (!is_cpu()) GTEST_SKIP() << "only the CPU reference checks every id and label";
  Batch twice = make_batch(4, 10, 61);
  twice.order = {2, 0, 2, 1};
  EXPECT_THROW(visit(twice, {twice.logits}), Error);
  Batch label = make_batch(4, 10, 62);
  label.labels[3] = 10;
  EXPECT_THROW(visit(label, {label.logits}), Error);
  label.labels[3] = -1;
  EXPECT_THROW(visit(label, {label.logits}), Error);
  Batch negative = make_batch(4, 10, 63);
  negative.order[0] = -1;
  EXPECT_THROW(visit(negative, {negative.logits}), Error);
  Batch lone = make_batch(4, 10, 64);
  lone.classes = 1;
  EXPECT_THROW(visit(lone, {lone.logits}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, SoftmaxKlTest, testing::ValuesIn(every_device()), name_of_case);

}  // namespace
}  // namespace tdds::test
