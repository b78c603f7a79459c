#include "tdds/methods/tdds_score.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/ops/window_score.h"
#include "kernels/ops/window_sweep.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

using Scores = std::vector<std::vector<float>>;

void score_on_cpu(const KlSeries& series, std::span<const ScoreSetting> settings, double decay,
                  Scores& scores) {
  std::map<int, std::vector<cpu::WindowSweepOutput>> by_window;
  for (std::size_t i = 0; i < settings.size(); ++i)
    by_window[settings[i].window_size].push_back({settings[i].trajectory_len, scores[i].data()});
  for (auto& [window_size, outputs] : by_window) {
    std::sort(outputs.begin(), outputs.end(),
              [](const auto& a, const auto& b) { return a.trajectory_len < b.trajectory_len; });
    cpu::window_sweep(series.values.data(), series.samples, window_size, decay, outputs);
  }
}

void score_on_device(Device& device, const KlSeries& series, std::span<const ScoreSetting> settings,
                     double decay, Scores& scores) {
  const auto stream = device.make_stream();
  const std::size_t score_bytes = static_cast<std::size_t>(series.samples) * sizeof(float);
  const std::vector<float> rounded(series.values.begin(), series.values.end());
  const DeviceMemory values(device, rounded.size() * sizeof(float), "the KL series");
  const DeviceMemory score(device, score_bytes, "the scores");
  stream->upload(values.data(), rounded.data(), values.bytes());
  for (std::size_t i = 0; i < settings.size(); ++i) {
    WindowScoreArgs args{};
    args.series = values.get<float>();
    args.score = score.get<float>();
    args.samples = series.samples;
    args.trajectory_len = settings[i].trajectory_len;
    args.window_size = settings[i].window_size;
    args.decay = decay;
    window_score(*stream, args);
    stream->download(scores[i].data(), score.data(), score_bytes);
  }
  stream->synchronize();
}

class StreamingTdds : public Scorer {
 public:
  StreamingTdds(std::int64_t samples, int window_size, double decay, DynamicsField series)
      : decay_(decay), series_(series), s_(static_cast<std::size_t>(samples)) {
    check(window_size >= 3, "a window has {} epochs; TDDS needs at least 3", window_size);
    ring_.resize(static_cast<std::size_t>(window_size - 1), std::vector<float>(s_.size()));
  }

  // The first epoch has no previous visit, and therefore no value in the series.
  void add(const EpochView& epoch) override {
    if (epochs_++ == 0) return;
    const auto row = static_cast<std::size_t>(epochs_ - 2);  // of the series
    std::copy_n(epoch.values(series_), s_.size(), ring_[row % ring_.size()].begin());
    if (row + 1 < ring_.size()) return;
    std::vector<const float*> window;  // oldest first
    for (std::size_t j = 1; j <= ring_.size(); ++j) window.push_back(ring_[(row + j) % ring_.size()].data());
    cpu::window_step(window, static_cast<std::int64_t>(s_.size()), decay_, s_.data());
  }

  std::vector<float> score() const override {
    check(static_cast<std::size_t>(epochs_) > ring_.size(), "TDDS has no score before epoch {}",
          ring_.size() + 1);
    return {s_.begin(), s_.end()};
  }

 private:
  double decay_;
  DynamicsField series_;
  std::int32_t epochs_ = 0;
  std::vector<std::vector<float>> ring_;
  std::vector<double> s_;
};

}  // namespace

std::unique_ptr<Scorer> streaming_tdds(std::int64_t samples, int window_size, double decay,
                                       DynamicsField series) {
  return std::make_unique<StreamingTdds>(samples, window_size, decay, series);
}

std::string to_string(const ScoreSetting& setting) {
  return fmt::format("T={} J={}", setting.trajectory_len, setting.window_size);
}

void check_setting(const ScoreSetting& setting, double decay, std::int32_t epochs,
                   const std::string& source) {
  const auto [t, j] = setting;
  check_usage(j >= 3,
              "`window_size` is {}; a window of fewer than 3 epochs has no spread, so every score is 0", j);
  check_usage(j <= t, "`window_size` is {}, but `trajectory_len` {}; the window must fit into the trajectory",
              j, t);
  check_usage(t <= epochs, "`trajectory_len` is {}, but {} holds {} epochs; train longer or ask for less", t,
              source, epochs);
  check_usage(decay >= 0 && decay <= 1, "`decay` is {}; it is the weight of the newest window: 0 to 1",
              decay);
}

std::vector<ScoreSetting> fitting_settings(std::span<const int> trajectory_lens,
                                           std::span<const int> window_sizes, double decay,
                                           std::int32_t epochs, const std::string& source,
                                           std::vector<ScoreSetting>& left_out) {
  std::vector<ScoreSetting> settings;
  const bool single = trajectory_lens.size() * window_sizes.size() == 1;
  for (const int t : trajectory_lens) {
    for (const int j : window_sizes) {
      const ScoreSetting setting{t, j};
      if (!single && j >= 3 && j > t) {
        left_out.push_back(setting);
        continue;
      }
      check_setting(setting, decay, epochs, source);
      settings.push_back(setting);
    }
  }
  check_usage(!settings.empty(), "no pair of `trajectory_len` and `window_size` has J <= T");
  return settings;
}

std::vector<std::vector<float>> tdds_scores(Device& device, const KlSeries& series,
                                            std::span<const ScoreSetting> settings, double decay) {
  for (const ScoreSetting& setting : settings) check_setting(setting, decay, series.epochs, "the series");
  const auto bad = std::find_if_not(series.values.begin(), series.values.end(),
                                    [](double value) { return std::isfinite(value); });
  const auto at = bad - series.values.begin();
  check(bad == series.values.end(),
        "the KL of sample {} in epoch {} is not finite: training had failed there; train again",
        series.samples > 0 ? at % series.samples : 0, series.samples > 0 ? at / series.samples + 1 : 0);
  Scores scores(settings.size(), std::vector<float>(static_cast<std::size_t>(series.samples)));
  if (device.kind() == DeviceKind::kCpu) {
    score_on_cpu(series, settings, decay, scores);
  } else {
    score_on_device(device, series, settings, decay, scores);
  }
  return scores;
}

namespace methods {
namespace {

std::unique_ptr<Scorer> make_tdds(std::int64_t samples, const MethodOptions& options) {
  return streaming_tdds(samples, options.window_size, options.decay, DynamicsField::kAbsKl);
}
std::unique_ptr<Scorer> make_tdds_kl(std::int64_t samples, const MethodOptions& options) {
  return streaming_tdds(samples, options.window_size, options.decay, DynamicsField::kSignedKl);
}

// Computes all settings from one reading of the series; they have the same decay.
std::vector<MethodScore> compute(const Method& method, const DynamicsSource& source,
                                 std::span<const MethodOptions> options, Device& device) {
  std::vector<ScoreSetting> settings;
  std::int32_t epochs = 0;
  for (const MethodOptions& each : options) {
    settings.push_back({each.epochs, each.window_size});
    epochs = std::max(epochs, each.epochs);
  }
  const KlSeries series = source.series(epochs, method.needs.front());
  auto scores = tdds_scores(device, series, settings, options.front().decay);
  std::vector<MethodScore> computed;
  for (std::size_t i = 0; i < scores.size(); ++i)
    computed.push_back({options[i], std::move(scores[i]), series.visits});
  return computed;
}

}  // namespace

const Method kTdds{.name = "tdds",
                   .score =
                       "the moving average, over windows of J epochs, of how much d_t = sum_c |p_c log(p_c / "
                       "previous p_c)| varies in a window",
                   .kept = "highest",
                   .source = "Zhang et al. 2024 (TDDS), the official importance_evaluation.py",
                   .horizon = Horizon::kTrajectory,
                   .least_epochs = 3,
                   .needs = {DynamicsField::kAbsKl},
                   .weights_loss = true,
                   .official = true,
                   .make = make_tdds,
                   .compute = compute};

const Method kTddsKl{
    .name = "tdds_kl",
    .score =
        "the same with d_t = sum_c p_c log(p_c / previous p_c), the KL divergence without absolute values",
    .kept = "highest",
    .source =
        "a variant of TDDS, whose own d_t takes the absolute value of each class's term and so is no "
        "divergence",
    .horizon = Horizon::kTrajectory,
    .least_epochs = 3,
    .needs = {DynamicsField::kSignedKl},
    .variant_of = "tdds",
    .weights_loss = true,
    .make = make_tdds_kl,
    .compute = compute};

}  // namespace methods
}  // namespace tdds
