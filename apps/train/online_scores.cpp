#include "apps/train/online_scores.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "apps/score/score_run.h"
#include "apps/train/run_folder.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "kernels/runtime/check.h"
#include "tdds/methods/tdds_score.h"

namespace tdds {
namespace {

constexpr const char* kProgram = "tdds-train";

}  // namespace

FlagTable online_score_flags(OnlineScoreOptions& options) {
  const std::string trajectories = names_of(has_trajectory);
  FlagTable flags{
      {"score", &options.methods,
       "Score the samples after every epoch by these methods. `tdds-score --list` names them, and the files "
       "are those of tdds-score. Implies --dynamics."},
      {"stop_when_stable", &options.stop_when_stable,
       "End the run once the scores have settled; 0 does not. They have when, in --stable_epochs epochs in a "
       "row, every score orders the samples as in the epoch before, with a rank correlation (Spearman) of at "
       "least this. The learning rate still follows --epochs."}};
  append(flags,
         advanced(
             {{"stable_epochs", &options.stable_epochs,
               "With --stop_when_stable: the number of epochs in a row, 1 or more."},
              {"mask_path", &options.mask_path,
               "With --score: folder for masks and scores. Each run needs its own; the default is "
               "<save_path>/masks."},
              {"trajectory_len", &options.trajectory_lens,
               fmt::format(
                   "With --score {}: T, a list. The files of each T are written when it is reached. By "
                   "default T is the number of epochs so far, and the files of the epoch before are removed.",
                   trajectories)},
              {"window_size", &options.window_sizes,
               fmt::format("With --score {}: J, the epochs in a window, a list, 3 <= J <= T.", trajectories)},
              {"score_decay", &options.decay,
               fmt::format("With --score {}: the weight of the newest window in the moving average, 0 to 1. "
                           "It is --decay of tdds-score.",
                           trajectories)},
              {"method_epochs", &options.method.epochs,
               "With --score: how many epochs the other methods use, from the first; 0 is each method's own "
               "choice."},
              {"method_window", &options.method.window_size,
               fmt::format("With --score: J of {}.", names_of(has_windows))}}));
  return flags;
}

void check_online_score_flags(const OnlineScoreOptions& options) {
  const double least = options.stop_when_stable;
  check_usage(least >= 0 && least <= 1,
              "--stop_when_stable is {}; it is a rank correlation, above 0 and at most 1", least);
  check_method_options(options.method);
  check_usage(options.stable_epochs >= 1, "--stable_epochs is {}; give 1 or more", options.stable_epochs);
  check_usage(least == 0 || !options.methods.empty(),
              "--stop_when_stable needs --score, the scores to watch");
  check_usage(least == 0 || options.trajectory_lens.empty(),
              "--stop_when_stable and --trajectory_len contradict each other: the epoch in which the run "
              "stops is the trajectory length");
  check_usage(options.decay >= 0 && options.decay <= 1,
              "--score_decay is {}; it is the weight of the newest window: 0 to 1", options.decay);
}

OnlineScores::OnlineScores(const OnlineScoreOptions& options, const DynamicsHeader& header,
                           std::int32_t epochs, const std::string& save_path, const std::string& store)
    : options_(options), header_(header), store_(store) {
  if (options_.mask_path.empty()) options_.mask_path = save_path + "/masks";
  options_.method.seed = header.seed;
  for (std::size_t i = 0; i < options.methods.size(); ++i) {
    const std::string& name = options.methods[i];
    check_usage(std::count(options.methods.begin(), options.methods.end(), name) == 1,
                "--score names {} twice", name);
    const Method& method = find_method(name);
    check_usage(method.make != nullptr,
                "{} needs the features of the finished net: record them with --dynamics_features and run "
                "tdds-score --method {}",
                name, name);
    check_recorded(method);
    if (has_trajectory(method))
      add_trajectories(method, epochs);
    else
      running_.push_back(
          {name, &method, options_.method, streaming_score(method, header.samples, epochs, options_.method)});
  }
  lock_files();
  if (options.mask_path.empty() || !options.trajectory_lens.empty()) return;
  for (const Running& running : running_)
    if (has_trajectory(*running.method)) check_free(running, epochs);
}

// Runs may share a folder but not a file name: the mask of one and the scores of another would look like a
// pair.
void OnlineScores::lock_files() {
  make_folder(options_.mask_path);
  for (Running& running : running_) {
    running.lock =
        lock_or_refuse(std::filesystem::path(options_.mask_path) / fmt::format(".{}.lock", running.name),
                       fmt::format("the scores {} in {}", running.name, options_.mask_path), "--mask_path");
    if (notes_.empty() && !running.lock->warning().empty())
      notes_.push_back("warning: " + running.lock->warning());
  }
}

// A folder given by --mask_path may be shared. The files that this run writes and removes from epoch to epoch
// must not replace those of another run.
void OnlineScores::check_free(const Running& running, std::int32_t epochs) const {
  for (std::int32_t t = running.options.window_size; t <= epochs; ++t) {
    const RankingFiles files = after(running, t, {}).files;
    const bool there = std::filesystem::exists(files.mask) || std::filesystem::exists(files.score);
    check(!there || is_of_this_run(files),
          "{} belongs to another run, and this run would replace and remove files of that name from epoch to "
          "epoch; choose another --mask_path, or move the file away",
          files.score);
  }
}

// Decided by the JSON file that write_scores wrote beside them.
bool OnlineScores::is_of_this_run(const RankingFiles& files) const {
  const std::string path = about_of(files);
  if (!std::filesystem::exists(path)) return false;
  const auto about = read_about(path);
  const auto is = [&](const char* key, const auto& value) {
    return about.is_object() && about.contains(key) && about[key] == value;
  };
  const bool same_files = !header_.manifest.empty() && is("manifest", header_.manifest);
  if (!is("training_seed", header_.seed) || (!is("fingerprint", header_.fingerprint) && !same_files))
    return false;
  if (!about.contains("dynamics") || !about["dynamics"].is_string()) return false;
  const std::string store = bytes_of_utf8(about["dynamics"].get_ref<const std::string&>());
  std::error_code ignored;  // the same store by another name
  return store == store_ || std::filesystem::equivalent(store, store_, ignored);
}

void OnlineScores::add_trajectories(const Method& method, std::int32_t epochs) {
  check_usage(!options_.window_sizes.empty(), "--window_size is empty; give one or more");
  const std::vector<int> whole{epochs};
  std::vector<ScoreSetting> left_out;
  settings_ = fitting_settings(options_.trajectory_lens.empty() ? whole : options_.trajectory_lens,
                               options_.window_sizes, options_.decay, epochs, "the run", left_out);
  notes_.clear();
  for (const ScoreSetting& setting : left_out)
    notes_.push_back(to_string(setting) + " is left out: the window does not fit into the trajectory");
  std::map<int, int> last;  // the longest trajectory of each window
  for (const auto& [t, j] : settings_) last[j] = std::max(last[j], t);
  for (const auto& [j, t] : last) {
    const MethodOptions options{.epochs = t, .window_size = j, .decay = options_.decay};
    running_.push_back({fmt::format("{}_win{}", method.name, j), &method, options,
                        streaming_score(method, header_.samples, epochs, options)});
  }
}

void OnlineScores::check_recorded(const Method& method) const {
  for (const DynamicsField field : method.needs)
    check_usage(std::find(header_.fields.begin(), header_.fields.end(), field) != header_.fields.end(),
                "{} needs '{}', which this run does not record; {} records it", method.name, to_string(field),
                flag_recording(field));
}

void OnlineScores::replay(const DynamicsReader& dynamics, std::int32_t epochs) {
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    take(view_of(dynamics, epoch));
    dynamics.release(epoch);
    for (Running& running : running_)
      if (due(running) && (!options_.trajectory_lens.empty() || epoch + 1 == epochs)) write(running);
  }
}

std::map<std::string, double> OnlineScores::add(const EpochDynamics& values) {
  take(view_of(values));
  std::map<std::string, double> correlations;
  for (Running& running : running_) {
    if (due(running)) write(running);
    if (const auto correlation = running.score.correlation()) correlations[running.name] = *correlation;
  }
  return correlations;
}

void OnlineScores::take(const EpochView& epoch) {
  ++epochs_;
  bool steady = true;
  for (Running& running : running_) {
    running.score.add(epoch, store_);
    steady = steady && running.score.correlation().value_or(-1) >= options_.stop_when_stable;
  }
  steady_epochs_ = steady ? steady_epochs_ + 1 : 0;
}

bool OnlineScores::stable() const {
  return options_.stop_when_stable > 0 && steady_epochs_ >= options_.stable_epochs;
}

// Whether the last epoch gave scores that are to be written.
bool OnlineScores::due(const Running& running) const {
  if (!running.score.ready() || running.score.epochs() != epochs_) return false;
  if (!has_trajectory(*running.method) || options_.trajectory_lens.empty()) return true;
  return std::any_of(settings_.begin(), settings_.end(), [&](const ScoreSetting& setting) {
    return setting.window_size == running.options.window_size && setting.trajectory_len == epochs_;
  });
}

void OnlineScores::write(Running& running) {
  make_folder(options_.mask_path);
  running.written = write_scores(after(running, epochs_, running.score.score()),
                                 provenance_of(kProgram, store_, header_, epochs_));
  if (has_trajectory(*running.method) && options_.trajectory_lens.empty()) remove_previous(running);
}

ScoredMethod OnlineScores::after(const Running& running, std::int32_t epochs,
                                 std::vector<float> score) const {
  MethodOptions used = running.options;
  used.epochs = epochs;
  return describe(options_.mask_path, *running.method, {used, std::move(score)});
}

void OnlineScores::remove_previous(const Running& running) const {
  const RankingFiles old = after(running, epochs_ - 1, {}).files;
  if (!is_of_this_run(old)) return;
  std::error_code ignored;
  for (const std::string& path : {old.mask, old.score, about_of(old)}) std::filesystem::remove(path, ignored);
}

std::string OnlineScores::summary() const {
  std::string text;
  for (const Running& running : running_) text += running.written;
  if (!text.empty()) text.pop_back();  // the last newline
  return text;
}

}  // namespace tdds
