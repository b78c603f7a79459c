// Every method against its definition, evaluated in long double from the probabilities that made the store.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <sstream>

#include "kernels/runtime/check.h"
#include "tdds/methods/method.h"
#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using Real = long double;

constexpr int kEpochs = 34, kSamples = 60, kClasses = 5;

struct Visit {
  Real p[kClasses];
  int label;

  Real other() const {
    Real largest = 0;
    for (int c = 0; c < kClasses; ++c)
      if (c != label) largest = std::max(largest, p[c]);
    return largest;
  }
  bool correct() const { return p[label] > other(); }
  Real miss() const {
    Real sum = 0;
    for (int c = 0; c < kClasses; ++c)
      if (c != label) sum += p[c];
    return sum;
  }
};

class MethodsTest : public testing::Test {
 protected:
  // Recorded once for all tests, because every epoch waits for the disk.
  static void SetUpTestSuite() {
    recording_ = std::make_unique<Recording>();
    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    DynamicsWriter writer(path(), header());
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      EpochDynamics values(kSamples);
      for (int i = 0; i < kSamples; ++i) visits()[epoch][i] = visit(i, normal, random);
      for (int i = 0; i < kSamples; ++i) store(visits()[epoch][i], static_cast<std::size_t>(i), values);
      writer.append(epoch, values);
    }
  }
  static void TearDownTestSuite() { recording_.reset(); }
  static DynamicsHeader header() {
    DynamicsHeader result;
    result.samples = kSamples;
    result.classes = kClasses;
    return result;
  }
  // Samples 0 .. 4 are never learned; the others range from uncertain to sure (1 - p_y of about 1e-6).
  static Visit visit(int i, std::normal_distribution<double>& normal, std::mt19937& random) {
    Visit result{{}, i % kClasses};
    Real sum = 0;
    for (int c = 0; c < kClasses; ++c) {
      const double boost = c != result.label ? 0 : i < 5 ? -20 : 14.0 * (i - 5) / kSamples;
      sum += result.p[c] = std::exp(static_cast<Real>(normal(random) + boost));
    }
    for (Real& p : result.p) p /= sum;
    return result;
  }
  static void store(const Visit& visit, std::size_t i, EpochDynamics& values) {
    Real entropy = 0, squares = visit.miss() * visit.miss();
    for (int c = 0; c < kClasses; ++c) {
      entropy -= visit.p[c] * std::log(visit.p[c]);
      if (c != visit.label) squares += visit.p[c] * visit.p[c];
    }
    values.loss[i] = static_cast<float>(-std::log1p(-visit.miss()));
    values.log_other[i] = static_cast<float>(std::log(visit.other()));
    values.entropy[i] = static_cast<float>(entropy);
    values.el2n[i] = static_cast<float>(std::sqrt(squares));
    values.correct[i] = visit.correct();
  }

  static std::vector<float> score(const char* name, MethodOptions options = {}) {
    return compute_scores(find_method(name), DynamicsReader(path()), options);
  }
  // `formula(i)` is the score of sample i. Stored values have float32's error of 6e-8, short sums a little
  // more.
  template <class Formula>
  void expect(const char* name, const Formula& formula, MethodOptions options = {}) const {
    const auto actual = score(name, options);
    for (int i = 0; i < kSamples; ++i) {
      const auto exact = static_cast<double>(formula(i));
      EXPECT_NEAR(actual[static_cast<std::size_t>(i)], exact, 1e-6 * std::abs(exact))
          << name << ", sample " << i;
    }
  }
  template <class Term>  // term(std, mean) of p_y
  Real over_windows(int i, int epochs, int j, const Term& term) const {
    Real sum = 0;
    for (int k = 0; k + j <= epochs; ++k) {
      Real mean = 0, squares = 0;
      for (int m = k; m < k + j; ++m) mean += visits()[m][i].miss() / j;
      for (int m = k; m < k + j; ++m)
        squares += (visits()[m][i].miss() - mean) * (visits()[m][i].miss() - mean);
      sum += term(std::sqrt(squares / (j - 1)), 1 - mean);
    }
    return sum / (epochs - j + 1);
  }

  using Visits = std::array<std::array<Visit, kSamples>, kEpochs>;
  static Visits& visits() { return recording_->visits; }
  static std::string path() { return recording_->folder / "dynamics.tdds"; }

  struct Recording {
    test::TemporaryFolder folder;
    Visits visits;
  };
  static inline std::unique_ptr<Recording> recording_;
};

TEST_F(MethodsTest, Entropy) {
  const auto of_epoch = [&](int epoch) {
    return [epoch](int i) {
      Real sum = 0;
      for (const Real p : visits()[epoch][i].p) sum -= p * std::log(p);
      return sum;
    };
  };
  expect("entropy", of_epoch(kEpochs - 1));
  expect("entropy", of_epoch(19), {.epochs = 20});
}

TEST_F(MethodsTest, El2n) {
  const auto mean_over = [&](int epochs) {
    return [epochs](int i) {
      Real sum = 0;
      for (int t = 0; t < epochs; ++t) {
        Real squares = 0;
        for (int c = 0; c < kClasses; ++c) {
          const Real off = c == visits()[t][i].label ? visits()[t][i].miss() : visits()[t][i].p[c];
          squares += off * off;
        }
        sum += std::sqrt(squares);
      }
      return sum / epochs;
    };
  };
  expect("el2n", mean_over(10));
  expect("el2n", mean_over(3), {.epochs = 3});
}

TEST_F(MethodsTest, Forgetting) {
  const auto count = [&](int i, int never) {
    int forgotten = 0;
    bool learned = visits()[0][i].correct();
    for (int t = 1; t < kEpochs; ++t) {
      forgotten += visits()[t - 1][i].correct() && !visits()[t][i].correct();
      learned = learned || visits()[t][i].correct();
    }
    return learned ? forgotten : never;
  };
  expect("forgetting", [&](int i) { return count(i, kEpochs); });
  expect("forgetting_zero", [&](int i) { return count(i, 0); });
  EXPECT_EQ(score("forgetting")[2], kEpochs);
  EXPECT_EQ(score("forgetting_zero")[2], 0);
}

TEST_F(MethodsTest, Aum) {
  const auto actual = score("aum"), logit = score("aum_logit");
  for (int i = 0; i < kSamples; ++i) {
    Real margin = 0, logit_margin = 0;
    for (const auto& epoch : visits()) {
      margin += (epoch[i].p[epoch[i].label] - epoch[i].other()) / kEpochs;
      logit_margin += (std::log(epoch[i].p[epoch[i].label]) - std::log(epoch[i].other())) / kEpochs;
    }
    // A difference of probabilities and of logarithms up to 20: absolute errors.
    EXPECT_NEAR(actual[static_cast<std::size_t>(i)], -margin, 1e-6);
    EXPECT_NEAR(logit[static_cast<std::size_t>(i)], -logit_margin, 1e-5);
  }
  EXPECT_GT(actual[0], actual[kSamples - 1]);  // the hardest is kept
}

TEST_F(MethodsTest, DynUnc) {
  const auto deviation = [](Real std, Real) { return std; };
  expect("dyn_unc", [&](int i) { return over_windows(i, kEpochs, 10, deviation); });
  expect("dyn_unc", [&](int i) { return over_windows(i, 12, 4, deviation); },
         {.epochs = 12, .window_size = 4});
}

TEST_F(MethodsTest, Dual) {
  const auto term = [](Real std, Real mean) { return std * (1 - mean); };
  expect("dual", [&](int i) { return over_windows(i, 30, 10, term); });
  expect("dual", [&](int i) { return over_windows(i, kEpochs, 10, term); }, {.epochs = kEpochs});
}

TEST_F(MethodsTest, RandomFollowsTheSeedAlone) {
  const auto first = score("random", {.seed = 1});
  EXPECT_EQ(first, score("random", {.epochs = 3, .seed = 1}));
  EXPECT_NE(first, score("random", {.seed = 2}));
  EXPECT_EQ(std::set<float>(first.begin(), first.end()).size(), first.size());
}

TEST_F(MethodsTest, MeanConfidence) {
  const MeanConfidence mean = mean_confidence(DynamicsReader(path()), 30);
  for (std::size_t i = 0; i < kSamples; ++i) {
    Real miss = 0;
    for (int t = 0; t < 30; ++t) miss += visits()[t][i].miss() / 30;
    EXPECT_NEAR(mean.miss[i], static_cast<double>(miss), 1e-6 * static_cast<double>(miss));
    EXPECT_NEAR(mean.p[i], static_cast<double>(1 - miss), 1e-6);
  }
}

TEST_F(MethodsTest, EveryMethodIsDescribedAndFound) {
  std::set<std::string> names;
  for (const Method* method : all_methods()) {
    EXPECT_EQ(&find_method(method->name), method);
    EXPECT_TRUE(names.insert(method->name).second);
    for (const char* text : {method->score, method->kept, method->source})
      EXPECT_GT(std::string(text).size(), 2u);
  }
  EXPECT_THROW(find_method("tdds2"), UsageError);
}

TEST_F(MethodsTest, TheMethodsOfAKindAreNamed) {
  EXPECT_EQ(names_of(has_windows), "dyn_unc and dual");
  EXPECT_EQ(names_of(has_trajectory), "tdds and tdds_kl");
  EXPECT_EQ(names_of(needs_finished_net), "moderate");
  EXPECT_EQ(names_of([](const Method&) { return false; }), "");
}

// The first column of docs/methods/README.md: "| [forgetting, forgetting_zero](forgetting.md) | ...".
TEST_F(MethodsTest, TheDocumentationListsTheTable) {
  std::ifstream readme(source_path("docs/methods/README.md"));
  std::vector<std::string> documented, names;
  for (std::string line; std::getline(readme, line);) {
    if (!line.starts_with("| [")) continue;
    std::istringstream row(line.substr(3, line.find(']') - 3));
    for (std::string name; std::getline(row, name, ',');)
      documented.push_back(name.substr(name.find_first_not_of(' ')));
  }
  for (const Method* method : all_methods()) names.emplace_back(method->name);
  EXPECT_THAT(documented, testing::UnorderedElementsAreArray(names));
}

TEST_F(MethodsTest, NamesWhatIsMissing) {
  const auto said = [&](const char* name, MethodOptions options = {}) -> std::string {
    try {
      score(name, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(said("el2n", {.epochs = 35}).find("holds 34"), std::string::npos);
  EXPECT_NE(said("forgetting", {.epochs = 1}).find("needs 2 epochs"), std::string::npos);
  EXPECT_NE(said("dual", {.epochs = 5}).find("windows of 10 epochs"), std::string::npos);

  const test::TemporaryFolder folder;
  DynamicsHeader partial = header();
  partial.fields = {DynamicsField::kAbsKl, DynamicsField::kLoss};
  DynamicsWriter writer(folder / "partial.tdds", partial);
  EpochDynamics values(kSamples);
  writer.append(0, values);
  values.loss[7] = std::nanf("");
  writer.append(1, values);
  const auto said_of_partial = [&](const char* name) -> std::string {
    try {
      compute_scores(find_method(name), DynamicsReader(folder / "partial.tdds"), {.window_size = 2});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(said_of_partial("forgetting").find("needs 'correct'"), std::string::npos);
  EXPECT_NE(said_of_partial("dyn_unc").find("of sample 7 in epoch 1"), std::string::npos);
}

}  // namespace
}  // namespace tdds
