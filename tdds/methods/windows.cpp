#include "tdds/methods/windows.h"

#include <cmath>

#include "kernels/check.h"
#include "kernels/cpu/parallel.h"

namespace tdds::methods {
namespace {

// In terms of 1 - p_y, which is exact where p_y rounds to 1; its deviation is that of p_y.
double of_sample(const double* miss, std::int32_t epochs, std::int32_t window_size, WindowTerm term) {
  double sum = 0;
  for (std::int32_t k = 0; k <= epochs - window_size; ++k) {
    double mean = 0, squares = 0;
    for (std::int32_t j = 0; j < window_size; ++j) mean += miss[k + j] / window_size;
    for (std::int32_t j = 0; j < window_size; ++j) squares += (miss[k + j] - mean) * (miss[k + j] - mean);
    sum += term(std::sqrt(squares / (window_size - 1)), mean);
  }
  return sum / (epochs - window_size + 1);
}

}  // namespace

std::vector<float> mean_over_windows(const DynamicsReader& dynamics, std::int32_t epochs,
                                     std::int32_t window_size, WindowTerm term) {
  check_usage(
      window_size >= 2 && window_size <= epochs,
      "windows of {} epochs do not fit into {} epochs; 2 is the least; train longer or ask for smaller ones",
      window_size, epochs);
  std::vector<const float*> loss;
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) loss.push_back(dynamics.loss(epoch));
  std::vector<float> score(static_cast<std::size_t>(dynamics.samples()));
  constexpr std::int64_t kBlock = 64;
  cpu::parallel_blocks(dynamics.samples(), kBlock, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> miss(static_cast<std::size_t>(epochs));
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::size_t epoch = 0; epoch < miss.size(); ++epoch)
        miss[epoch] = -std::expm1(-static_cast<double>(loss[epoch][i]));
      score[static_cast<std::size_t>(i)] =
          static_cast<float>(of_sample(miss.data(), epochs, window_size, term));
    }
  });
  return score;
}

}  // namespace tdds::methods
