// tdds-score: from recorded training dynamics to TDDS scores and the pruning order
// (official importance_evaluation.py, with its flags).

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <string>
#include <vector>

#include "apps/cli.h"
#include "engine/files.h"
#include "kernels/device.h"
#include "tdds/dynamics_source.h"
#include "tdds/selection.h"
#include "tdds/tdds_score.h"

namespace tdds {
namespace {

struct ScoreOptions {
  std::string dynamics_path = "./checkpoint/all-dataset/npy/";
  std::string mask_path = "./checkpoint/generated_mask/";
  std::vector<int> trajectory_lens{10}, window_sizes{10};
  double decay = 0.9;
  std::string device = "cpu";
  int threads = 0;
};

void declare(CLI::App& app, ScoreOptions& options) {
  app.add_option("--dynamics_path", options.dynamics_path,
                 "What tdds-train --dynamics wrote: its folder, dynamics.tdds, or the official .npy files.");
  app.add_option("--mask_path", options.mask_path, "The folder for the masks and scores; made if absent.");
  app.add_option("--trajectory_len", options.trajectory_lens,
                 "T: how many epochs are used, from the first. A list (10,20,30) gives a mask for each.")
      ->delimiter(',');
  app.add_option("--window_size", options.window_sizes,
                 "J: the epochs in a window, 3 <= J <= T. May be a list.")
      ->delimiter(',');
  app.add_option("--decay", options.decay, "The weight of the newest window in the moving average, 0 to 1.");
  app.add_option("--device", options.device, "cpu, simt or cuda: where the windows are computed.");
  app.add_option("--threads", options.threads, "CPU threads; 0 takes one for each core.");
}

// All pairs with J <= T. A list may hold pairs that make no sense together: those are told and left out.
std::vector<ScoreSetting> settings_of(const ScoreOptions& options, const DynamicsSource& source) {
  std::vector<ScoreSetting> settings;
  const bool single = options.trajectory_lens.size() * options.window_sizes.size() == 1;
  for (const int t : options.trajectory_lens) {
    for (const int j : options.window_sizes) {
      const ScoreSetting setting{t, j};
      if (!single && j >= 3 && j > t) {
        fmt::print("{} is left out: the window does not fit into the trajectory\n", text_of(setting));
        continue;
      }
      check_setting(setting, options.decay, source.epochs(), source.path());
      settings.push_back(setting);
    }
  }
  check_usage(!settings.empty(), "no pair of --trajectory_len and --window_size has J <= T");
  return settings;
}

void write(const ScoreOptions& options, const ScoreSetting& setting, const std::vector<float>& score) {
  const Ranking ranking = rank_by_score(score);
  const RankingFiles files =
      official_ranking_files(options.mask_path, setting.window_size, setting.trajectory_len);
  write_ranking(files, ranking);
  fmt::print("{} decay={}: scores {:.6g} to {:.6g}, median {:.6g}\n  {}\n  {}\n", text_of(setting),
             options.decay, ranking.scores.front(), ranking.scores.back(),
             ranking.scores[ranking.scores.size() / 2], files.mask, files.score);
}

void explain(std::int64_t samples) {
  constexpr double kRate = 0.9;
  const std::int64_t pruned = pruned_count(kRate, samples);
  fmt::print(
      "Direction: a mask lists the sample ids by ascending score; the highest scores are kept.\n"
      "Rate: --subset_rate is the share that is pruned: {} drops the first {} of {} samples of the mask and "
      "trains on the other {}.\n",
      kRate, pruned, samples, samples - pruned);
}

int score(ScoreOptions& options) {
  check_usage(options.threads >= 0, "--threads is {}; give 0 or more", options.threads);
  if (options.threads > 0) omp_set_num_threads(options.threads);
  const auto device = make_device(parse_device_kind(options.device));
  const DynamicsSource source(options.dynamics_path);
  fmt::print("{}: {}\n", source.path(), source.description());
  if (source.store() && !source.store()->torn_end().empty())
    fmt::print("{}; it is left out\n", source.store()->torn_end());

  const std::vector<ScoreSetting> settings = settings_of(options, source);
  while (options.mask_path.size() > 1 && options.mask_path.back() == '/') options.mask_path.pop_back();
  make_folder(options.mask_path);
  int epochs = 0;
  for (const ScoreSetting& setting : settings) epochs = std::max(epochs, setting.trajectory_len);
  const KlSeries series = source.series(epochs);
  const auto scores = tdds_scores(*device, series, settings, options.decay);
  for (std::size_t i = 0; i < settings.size(); ++i) write(options, settings[i], scores[i]);
  explain(series.samples);
  return 0;
}

}  // namespace
}  // namespace tdds

int main(int argc, char** argv) {
  tdds::ScoreOptions options;
  const tdds::ProgramInfo info{
      "tdds-score",
      "Scores every training sample from its recorded training dynamics (TDDS, CVPR 2024) and writes the "
      "order "
      "in which samples are pruned.",
      "  tdds-score --dynamics_path ./checkpoint/all-dataset/npy/ --mask_path ./checkpoint/generated_mask/ "
      "--trajectory_len 30 --window_size 10\n"
      "  tdds-score --dynamics_path run/dynamics.tdds --mask_path masks --trajectory_len 10,20,30 "
      "--window_size "
      "5,10\n"};
  return tdds::run_program(
      argc, argv, info, [&](CLI::App& app) { declare(app, options); },
      [&](const tdds::ResolvedOptions&) { return tdds::score(options); });
}
