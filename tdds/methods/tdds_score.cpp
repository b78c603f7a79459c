#include "tdds/tdds_score.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/check.h"
#include "kernels/cpu/window_sweep.h"
#include "kernels/ops.h"

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
  const DeviceMemory values(device, series.values.size() * sizeof(float), "the KL series");
  const DeviceMemory score(device, score_bytes, "the scores");
  stream->upload(values.data(), series.values.data(), values.bytes());
  for (std::size_t i = 0; i < settings.size(); ++i) {
    WindowScoreArgs args{};
    args.series = values.get<float>();
    args.score = score.get<float>();
    args.samples = series.samples;
    args.trajectory_len = settings[i].trajectory_len;
    args.window_size = settings[i].window_size;
    args.decay = decay;
    device.ops().window_score(*stream, args);
    stream->download(scores[i].data(), score.data(), score_bytes);
  }
  stream->synchronize();
}

}  // namespace

const TddsVariant* find_tdds_variant(std::string_view name) {
  for (const TddsVariant* variant : {&kTdds, &kTddsKl})
    if (name == variant->name) return variant;
  return nullptr;
}

std::string text_of(const ScoreSetting& setting) {
  return fmt::format("T={} J={}", setting.trajectory_len, setting.window_size);
}

void check_setting(const ScoreSetting& setting, double decay, std::int32_t epochs,
                   const std::string& source) {
  const auto [t, j] = setting;
  check_usage(j >= 3,
              "--window_size is {}; a window of fewer than 3 epochs has no spread, so every score is 0", j);
  check_usage(j <= t, "--window_size is {} and --trajectory_len {}; the window must fit into the trajectory",
              j, t);
  check_usage(t <= epochs, "--trajectory_len is {} and {} holds {} epochs; train longer or ask for less", t,
              source, epochs);
  check_usage(decay >= 0 && decay <= 1, "--decay is {}; it is the weight of the newest window: 0 to 1",
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
  check_usage(!settings.empty(), "no pair of --trajectory_len and --window_size has J <= T");
  return settings;
}

KlSeries series_of(const DynamicsReader& dynamics, std::int32_t epochs, DynamicsField field) {
  KlSeries series;
  series.samples = dynamics.samples();
  series.epochs = epochs;
  series.values.reserve(static_cast<std::size_t>(series.samples * std::max(0, epochs - 1)));
  for (std::int32_t epoch = 1; epoch < epochs; ++epoch) {
    const float* row = dynamics.values(field, epoch);
    series.values.insert(series.values.end(), row, row + series.samples);
    dynamics.release(epoch);
  }
  return series;
}

std::vector<std::vector<float>> tdds_scores(Device& device, const KlSeries& series,
                                            std::span<const ScoreSetting> settings, double decay) {
  for (const ScoreSetting& setting : settings) check_setting(setting, decay, series.epochs, "the series");
  const auto bad = std::find_if_not(series.values.begin(), series.values.end(),
                                    [](float value) { return std::isfinite(value); });
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

}  // namespace tdds
