#pragma once
// The official scoring formula, evaluated by its definition in long double, and random dynamics. It shares
// no code with the tested sources.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace tdds::test {

using Row = std::vector<long double>;

struct Recorded {
  std::int64_t samples = 0, classes = 0;
  std::vector<std::vector<float>> logits;      // [T][N*K] by sample id
  std::vector<std::vector<std::int64_t>> ids;  // [T][N] visiting orders
};

// The label's probability of sample i runs from 0.5 to 1 - 1e-7, by `i % 8`.
inline Recorded random_dynamics(std::int64_t samples, std::int64_t classes, int epochs, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Recorded recorded{samples, classes, {}, {}};
  for (int epoch = 0; epoch < epochs; ++epoch) {
    std::vector<float> z(static_cast<std::size_t>(samples * classes));
    for (std::int64_t i = 0; i < samples; ++i) {
      long double others = 0;
      for (std::int64_t c = 1; c < classes; ++c) {
        const double value = 1.5 * std::sin(0.7 * static_cast<double>(i + 3 * c)) + 0.5 * normal(random);
        z[static_cast<std::size_t>(i * classes + c)] = static_cast<float>(value);
        others += std::exp(static_cast<long double>(value));
      }
      const double miss = i % 8 == 0 ? 0.5 : std::pow(10.0, -static_cast<double>(i % 8));
      const double wander = 0.3 * normal(random);
      z[static_cast<std::size_t>(i * classes)] =
          static_cast<float>(std::log(static_cast<double>(others) * (1 - miss) / miss) + wander);
    }
    std::vector<std::int64_t> ids(static_cast<std::size_t>(samples));
    std::iota(ids.begin(), ids.end(), std::int64_t{0});
    std::shuffle(ids.begin(), ids.end(), random);
    recorded.logits.push_back(std::move(z));
    recorded.ids.push_back(std::move(ids));
  }
  return recorded;
}

inline std::vector<float> in_visiting_order(const Recorded& recorded, int epoch,
                                            const std::vector<std::int64_t>& ids) {
  std::vector<float> rows;
  const auto& z = recorded.logits[static_cast<std::size_t>(epoch)];
  for (const std::int64_t id : ids)
    rows.insert(rows.end(), z.begin() + id * recorded.classes, z.begin() + (id + 1) * recorded.classes);
  return rows;
}

inline Row softmax(const float* z, std::int64_t classes) {
  Row p(z, z + classes);
  const long double max = *std::max_element(p.begin(), p.end());
  long double sum = 0;
  for (long double& value : p) sum += value = std::exp(value - max);
  for (long double& value : p) value /= sum;
  return p;
}

// d [T-1][N].
inline std::vector<Row> reference_series(const Recorded& recorded) {
  std::vector<Row> series;
  for (std::size_t t = 0; t + 1 < recorded.logits.size(); ++t) {
    Row d(static_cast<std::size_t>(recorded.samples));
    for (std::int64_t i = 0; i < recorded.samples; ++i) {
      const Row p = softmax(recorded.logits[t].data() + i * recorded.classes, recorded.classes);
      const Row q = softmax(recorded.logits[t + 1].data() + i * recorded.classes, recorded.classes);
      for (std::size_t c = 0; c < p.size(); ++c)
        d[static_cast<std::size_t>(i)] += std::abs(q[c] * (std::log(q[c] + 1e-8L) - std::log(p[c] + 1e-8L)));
    }
    series.push_back(std::move(d));
  }
  return series;
}

// The explicit sum, not the recursion: sum_k decay (1 - decay)^(T-J-k) R_k.
inline Row reference_scores(const std::vector<Row>& series, int t, int j, long double decay) {
  const std::size_t samples = series[0].size();
  Row score(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    for (int k = 0; k <= t - j; ++k) {
      long double mean = 0, squares = 0;
      for (int m = 0; m < j - 1; ++m) mean += series[static_cast<std::size_t>(k) + m][i] / (j - 1);
      for (int m = 0; m < j - 1; ++m) {
        const long double off = series[static_cast<std::size_t>(k) + m][i] - mean;
        squares += off * off;
      }
      score[i] += decay * std::pow(1 - decay, t - j - k) * std::sqrt(squares);
    }
  }
  return score;
}

}  // namespace tdds::test
