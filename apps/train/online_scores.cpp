#include "apps/live_scores.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>

#include "apps/score_run.h"
#include "engine/files.h"
#include "kernels/check.h"
#include "tdds/moderate.h"

namespace tdds {
namespace {

constexpr const char* kProgram = "tdds-train";
constexpr std::uint64_t kLargestAbout = std::uint64_t{1} << 20;

}  // namespace

void declare_live_score_flags(CLI::App& app, LiveScoreOptions& options) {
  app.add_option(
         "--score", options.methods,
         "Scoring methods, a list (tdds-score --list names them): their scores are brought up to date "
         "after every epoch, in the files of tdds-score. Implies --dynamics.")
      ->delimiter(',');
  app.add_option(
      "--mask_path", options.mask_path,
      "--score: the folder for masks and scores, one for each run; <save_path>/masks where it is not given.");
  app.add_option("--trajectory_len", options.trajectory_lens,
                 "--score tdds, tdds_kl: T, a list: the files of each T are written when it is reached. Not "
                 "given: T is the number of epochs so far, and the files of the epoch before are removed.")
      ->delimiter(',');
  app.add_option("--window_size", options.window_sizes,
                 "--score tdds, tdds_kl: J, the epochs in a window, a list, 3 <= J <= T.")
      ->delimiter(',');
  app.add_option(
      "--score_decay", options.decay,
      "--score tdds, tdds_kl: the weight of the newest window in the moving average, 0 to 1 (--decay of "
      "tdds-score).");
  app.add_option(
      "--method_epochs", options.method.epochs,
      "--score: the epochs that the other methods use, from the first; 0 takes each one's own choice.");
  app.add_option("--method_window", options.method.window_size, "--score: J of dyn_unc and dual.");
  app.add_option(
      "--stop_when_stable", options.stop_when_stable,
      "--score: end the run once the scores have settled: when in --stable_epochs epochs in a row "
      "every score ordered the samples as in the epoch before, with a rank correlation (Spearman) of "
      "at least this. The learning rate still follows --epochs. 0: never.");
  app.add_option("--stable_epochs", options.stable_epochs,
                 "--stop_when_stable: how many epochs in a row, 1 or more.");
}

void check_live_score_flags(const LiveScoreOptions& options) {
  const double least = options.stop_when_stable;
  check_usage(least >= 0 && least <= 1,
              "--stop_when_stable is {}; it is a rank correlation, above 0 and at most 1", least);
  check_method_options(options.method);
  check_usage(options.stable_epochs >= 1, "--stable_epochs is {}; give 1 or more", options.stable_epochs);
  check_usage(least == 0 || !options.methods.empty(), "--stop_when_stable needs --score: which scores?");
  check_usage(
      least == 0 || options.trajectory_lens.empty(),
      "--stop_when_stable and --trajectory_len contradict each other: the epoch in which the run stops "
      "is the trajectory length");
  check_usage(options.decay >= 0 && options.decay <= 1,
              "--score_decay is {}; it is the weight of the newest window: 0 to 1", options.decay);
}

LiveScores::LiveScores(const LiveScoreOptions& options, const DynamicsHeader& header, std::int32_t epochs,
                       const std::string& save_path, const std::string& store)
    : options_(options), header_(header), store_(store) {
  if (options_.mask_path.empty()) options_.mask_path = save_path + "/masks";
  options_.method.seed = header.seed;
  for (std::size_t i = 0; i < options.methods.size(); ++i) {
    const std::string& name = options.methods[i];
    check_usage(std::count(options.methods.begin(), options.methods.end(), name) == 1,
                "--score names {} twice", name);
    check_usage(
        name != kModerate,
        "moderate needs the features of the finished net: record them with --dynamics_features and run "
        "tdds-score --method moderate");
    if (const TddsVariant* variant = find_tdds_variant(name)) {
      add_tdds(*variant, epochs);
      continue;
    }
    const Method& method = find_method(name);
    check_recorded(name, method.needs);
    running_.push_back(
        {name, &method, nullptr, 0, streaming_score(method, header.samples, epochs, options_.method)});
  }
  if (options.mask_path.empty() || !options.trajectory_lens.empty()) return;
  for (const Running& running : running_)
    if (running.variant) check_free(running, epochs);
}

// A folder that was chosen may be shared: what this run writes in passing, and removes after the next epoch, must not
// take the place of what another one left.
void LiveScores::check_free(const Running& running, std::int32_t epochs) const {
  for (std::int32_t t = running.window_size; t <= epochs; ++t) {
    const RankingFiles files = files_after(running, t);
    const bool there = std::filesystem::exists(files.mask) || std::filesystem::exists(files.score);
    check(!there || is_of_this_run(files),
          "{} is of another run, and this one writes files of that name and removes them as its epochs pass; "
          "choose another --mask_path, or move the file away",
          files.score);
  }
}

// By what write_scores says of the files.
bool LiveScores::is_of_this_run(const RankingFiles& files) const {
  const std::string path = about_of(files);
  if (!std::filesystem::exists(path)) return false;
  const auto about = nlohmann::json::parse(read_file(path, kLargestAbout), nullptr, false);
  const auto is = [&](const char* key, const auto& value) {
    return about.is_object() && about.contains(key) && about[key] == value;
  };
  if (!is("training_seed", header_.seed) || !is("fingerprint", header_.fingerprint)) return false;
  if (is("dynamics", store_)) return true;
  std::error_code ignored;  // the same store by another name
  return about.contains("dynamics") && about["dynamics"].is_string() &&
         std::filesystem::equivalent(about["dynamics"].get<std::string>(), store_, ignored);
}

void LiveScores::add_tdds(const TddsVariant& variant, std::int32_t epochs) {
  check_usage(!options_.window_sizes.empty(), "--window_size is empty; give one or more");
  check_recorded(variant.name, {variant.series});
  const std::vector<int> whole{epochs};
  std::vector<ScoreSetting> left_out;
  settings_ = fitting_settings(options_.trajectory_lens.empty() ? whole : options_.trajectory_lens,
                               options_.window_sizes, options_.decay, epochs, "the run", left_out);
  notes_.clear();
  for (const ScoreSetting& setting : left_out)
    notes_.push_back(text_of(setting) + " is left out: the window does not fit into the trajectory");
  std::vector<int> windows;
  for (const ScoreSetting& setting : settings_) windows.push_back(setting.window_size);
  std::sort(windows.begin(), windows.end());
  windows.erase(std::unique(windows.begin(), windows.end()), windows.end());
  for (const int j : windows) {
    std::int32_t last = 0;
    for (const ScoreSetting& setting : settings_)
      if (setting.window_size == j) last = std::max<std::int32_t>(last, setting.trajectory_len);
    running_.push_back({fmt::format("{}_win{}", variant.name, j),
                        nullptr,
                        &variant,
                        j,
                        {streaming_tdds(header_.samples, j, options_.decay, variant.series),
                         header_.samples,
                         {.needs = {variant.series}, .least_epochs = j, .last_epochs = last}}});
  }
}

void LiveScores::check_recorded(const std::string& name, const std::vector<DynamicsField>& needs) const {
  for (const DynamicsField field : needs)
    check_usage(std::find(header_.fields.begin(), header_.fields.end(), field) != header_.fields.end(),
                "{} needs '{}', which this run does not record; {} records it", name, name_of(field),
                flag_recording(field));
}

void LiveScores::replay(const DynamicsReader& dynamics, std::int32_t epochs) {
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    take(view_of(dynamics, epoch));
    dynamics.release(epoch);
    for (Running& running : running_)
      if (due(running) && (!options_.trajectory_lens.empty() || epoch + 1 == epochs)) write(running);
  }
}

std::map<std::string, double> LiveScores::add(const EpochDynamics& values) {
  take(view_of(values));
  std::map<std::string, double> correlations;
  for (Running& running : running_) {
    if (due(running)) write(running);
    if (const auto correlation = running.score.correlation()) correlations[running.name] = *correlation;
  }
  return correlations;
}

void LiveScores::take(const EpochView& epoch) {
  ++epochs_;
  bool steady = true;
  for (Running& running : running_) {
    running.score.add(epoch, store_);
    steady = steady && running.score.correlation().value_or(-1) >= options_.stop_when_stable;
  }
  steady_epochs_ = steady ? steady_epochs_ + 1 : 0;
}

bool LiveScores::stable() const {
  return options_.stop_when_stable > 0 && steady_epochs_ >= options_.stable_epochs;
}

// Whether the epoch just taken gave the score files that are to be written.
bool LiveScores::due(const Running& running) const {
  if (!running.score.ready() || running.score.epochs() != epochs_) return false;
  if (running.method || options_.trajectory_lens.empty()) return true;
  return std::any_of(settings_.begin(), settings_.end(), [&](const ScoreSetting& setting) {
    return setting.window_size == running.window_size && setting.trajectory_len == epochs_;
  });
}

void LiveScores::write(Running& running) {
  make_folder(options_.mask_path);
  running.written = write_scores(scored(running), provenance_of(kProgram, store_, header_, epochs_));
  if (running.variant && options_.trajectory_lens.empty()) remove_previous(running);
}

// With the score, the names and the files of now.
ScoredMethod LiveScores::scored(const Running& running) const {
  if (running.method)
    return describe(options_.mask_path, *running.method, epochs_, options_.method, running.score.score());
  return describe_tdds(options_.mask_path, *running.variant, {epochs_, running.window_size}, options_.decay,
                       running.score.score());
}

RankingFiles LiveScores::files_after(const Running& running, std::int32_t epochs) const {
  return describe_tdds(options_.mask_path, *running.variant, {epochs, running.window_size}, options_.decay,
                       {})
      .files;
}

void LiveScores::remove_previous(const Running& running) const {
  const RankingFiles old = files_after(running, epochs_ - 1);
  if (!is_of_this_run(old)) return;
  std::error_code ignored;
  for (const std::string& path : {old.mask, old.score, about_of(old)}) std::filesystem::remove(path, ignored);
}

std::string LiveScores::summary() const {
  std::string text;
  for (const Running& running : running_) text += running.written;
  if (!text.empty()) text.pop_back();  // the last newline
  return text;
}

}  // namespace tdds
