#include "apps/sweep/sweep_selection.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "apps/score/score_provenance.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "engine/schedule.h"
#include "tdds/selection/selection.h"

namespace tdds {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kLargestIdFile = std::uint64_t{1} << 32;

std::string recording_of(std::uint64_t seed) {
  return scoring_folder(seed) + "/dynamics.tdds";
}

std::string key_of(const SweepRun& run) {
  const std::string name = run.method.score->name;
  return has_trajectory(*run.method.score) ? name + " " + to_string(run.setting) : name;
}

bool is_weighted(const SweepRun& run, const SweepFlags& flags) {
  return run.method.score->weights_loss && run.method.selection == "top" && !flags.no_score_weighting;
}

}  // namespace

SweepSelection::SweepSelection(const std::filesystem::path& folder, std::uint64_t seed,
                               const SweepFlags& flags, std::int32_t epochs, const Dataset& data,
                               Device& device)
    : folder_(folder),
      seed_(seed),
      flags_(flags),
      epochs_(epochs),
      data_(data),
      device_(device),
      sample_ids_(folder / recording_of(seed), data.train.count()) {
  const std::filesystem::path recording = folder / recording_of(seed);
  if (std::filesystem::exists(recording)) source_.emplace(recording.string());
}

ScoreOptions SweepSelection::options_for(const SweepRun& run) const {
  ScoreOptions options;
  options.mask_path = (folder_ / scores_folder(seed_)).string();
  options.methods = {run.method.score->name};
  options.trajectory_lens = {run.setting.trajectory_len};
  options.window_sizes = {run.setting.window_size};
  options.decay = flags_.score_decay;
  options.method = {
      .epochs = flags_.method_epochs, .window_size = method_window(flags_, epochs_), .seed = seed_};
  options.subset_rate = run.rate;
  options.selection = run.method.selection;
  options.ccs = {.beta = run.ccs_beta, .strata = flags_.ccs_strata, .seed = seed_};
  options.beta_c = flags_.beta_c;
  return options;
}

nlohmann::ordered_json SweepSelection::provenance() const {
  if (!source_) return Json::object();  // it is in `how`
  Json about =
      provenance_of("tdds-sweep", recording_of(seed_), source_->store()->header(), source_->epochs());
  if (!sample_ids_.path().empty()) about["train_ids"] = scoring_folder(seed_) + "/train_ids.npy";
  return about;
}

const ScoredMethod& SweepSelection::compute(const SweepRun& run) {
  const std::string key = key_of(run);
  const auto known = scores_.find(key);
  if (known != scores_.end()) return known->second;
  ScoredMethod scored =
      source_ ? std::move(run_methods(options_for(run), *source_, device_).front()) : read_written(run);
  methods_.emplace_back(run.method.score->name, key);
  return scores_.emplace(key, std::move(scored)).first->second;
}

ScoredMethod SweepSelection::read_written(const SweepRun& run) const {
  const ScoreOptions options = options_for(run);
  MethodOptions used = options.method;
  if (has_trajectory(*run.method.score))
    used = {
        .epochs = run.setting.trajectory_len, .window_size = run.setting.window_size, .decay = options.decay};
  ScoredMethod scored = describe(options.mask_path, *run.method.score, {used, {}});
  const std::string path = about_of(scored.files);
  check(std::filesystem::exists(path), "{} and {} are gone; restore one of them",
        (folder_ / recording_of(seed_)).string(), path);
  Json about = read_about(path);
  scored.how["training_seed"] = seed_;
  for (const char* text : {"score", "direction", "source"}) scored.how.erase(text);
  if (used.epochs == 0) scored.how.erase("epochs");  // the method's own choice
  for (const auto& [key, value] : scored.how.items())
    check(about.is_object() && about.contains(key) && about[key] == value,
          "{} is of another score or seed: its \"{}\" is not {}; restore it", path, key, value.dump());
  check_scores_are_of(data_, scored.files.mask, scored.files.score);
  const Ranking ranking = read_ranking(scored.files);
  check(static_cast<std::int64_t>(ranking.ids.size()) == data_.train.count(),
        "{} has scores of {} samples, and there are {}; restore it", scored.files.score, ranking.ids.size(),
        data_.train.count());
  scored.score.resize(ranking.ids.size());
  for (std::size_t i = 0; i < ranking.ids.size(); ++i)
    scored.score[static_cast<std::size_t>(ranking.ids[i])] = ranking.scores[i];
  scored.how = std::move(about);
  return scored;
}

void SweepSelection::check_possible(const SweepRun& run) {
  select(compute(run), options_for(run), source());
}

const ScoredMethod& SweepSelection::score(const SweepRun& run) {
  const ScoredMethod& scored = compute(run);
  if (!source_ || !written_.insert(key_of(run)).second) return scored;
  make_folder(folder_ / scores_folder(seed_));
  write_scores(scored, provenance());
  return scored;
}

SubsetChoice SweepSelection::choose(const SweepRun& run) {
  const ScoredMethod& scored = score(run);
  const Selection selection = select(scored, options_for(run), source());
  const auto samples = static_cast<std::int64_t>(scored.score.size());

  const std::filesystem::path folder = folder_ / run.folder, ids_path = folder / "ids.txt";
  const std::string ids = fmt::format("{}\n", fmt::join(sample_ids_.of(selection.ids), "\n"));
  make_folder(folder);
  if (std::filesystem::exists(ids_path) && read_file(ids_path, kLargestIdFile) != ids)
    std::filesystem::remove(folder / "checkpoint.safetensors");
  write_file_atomically(ids_path, ids);

  Json about = scored.how;
  about.update(selection.how);
  about.update(Json{{"pruning_rate", run.rate},
                    {"kept", selection.ids.size()},
                    {"kept_by_class", count_by_class(selection.ids, data_.train.labels, data_.classes)},
                    {"loss_weighted_by_score", is_weighted(run, flags_)}});
  about.update(provenance());
  write_file_atomically(folder / "selection.json", json_text(std::move(about), 1) + "\n");

  SubsetChoice choice;
  choice.ids.assign(selection.ids.begin(), selection.ids.end());
  if (is_weighted(run, flags_)) choice.weights = subset_weights(rank_by_score(scored.score));
  choice.t_max = subset_t_max(run.epochs, samples, run.rate, run.batch);
  choice.notes.push_back(fmt::format("{} at a pruning rate of {}: {} of {} samples are kept", run.method.name,
                                     run.rate, selection.ids.size(), samples));
  return choice;
}

std::vector<PlantedRecord> SweepSelection::at_ends(const std::vector<std::uint8_t>& planted) const {
  const auto count = static_cast<std::int64_t>(std::count(planted.begin(), planted.end(), 1));
  std::vector<PlantedRecord> records;
  if (count == 0) return records;
  for (const auto& entry : methods_) {
    const auto& method = entry.first;
    const auto& key = entry.second;
    const bool single = std::count_if(methods_.begin(), methods_.end(),
                                      [&](const auto& other) { return other.first == method; }) == 1;
    const std::vector<std::int64_t> order = order_by_score(scores_.at(key).score);
    const auto share = [&](auto first) {
      const auto hits = std::count_if(
          first, first + count, [&](std::int64_t id) { return planted[static_cast<std::size_t>(id)] == 1; });
      return static_cast<double>(hits) / static_cast<double>(count);
    };
    const auto add = [&](const char* end, double found) {
      records.push_back({single ? method : key, seed_, end, count, found, found});
    };
    add("low", share(order.begin()));
    add("high", share(order.rbegin()));
  }
  return records;
}

}  // namespace tdds
