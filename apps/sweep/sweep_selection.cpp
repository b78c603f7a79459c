#include "apps/sweep/sweep_selection.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "engine/schedule.h"
#include "tdds/selection/selection.h"

namespace tdds {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kLargestIdFile = std::uint64_t{1} << 32;

std::string key_of(const SweepRun& run) {
  const std::string name = run.method.score->name;
  return has_trajectory(*run.method.score) ? name + " " + to_string(run.setting) : name;
}

bool is_weighted(const SweepRun& run, const SweepFlags& flags) {
  return run.method.score->weights_loss && run.method.selection == "top" && !flags.no_score_weighting;
}

}  // namespace

SweepSelection::SweepSelection(const std::filesystem::path& folder, std::uint64_t seed,
                               const SweepFlags& flags, std::int32_t epochs, Device& device)
    : folder_(folder),
      seed_(seed),
      flags_(flags),
      epochs_(epochs),
      device_(device),
      source_((folder / scoring_folder(seed) / "dynamics.tdds").string()),
      sample_ids_(source_, source_.store()->samples()) {}

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
  Json about = provenance_of("tdds-sweep", scoring_folder(seed_) + "/dynamics.tdds",
                             source_.store()->header(), source_.epochs());
  if (!sample_ids_.path().empty()) about["train_ids"] = scoring_folder(seed_) + "/train_ids.npy";
  return about;
}

const ScoredMethod& SweepSelection::compute(const SweepRun& run) {
  const std::string key = key_of(run);
  const auto known = scores_.find(key);
  if (known != scores_.end()) return known->second;
  ScoredMethod scored = std::move(run_methods(options_for(run), source_, device_).front());
  methods_.emplace_back(run.method.score->name, key);
  return scores_.emplace(key, std::move(scored)).first->second;
}

void SweepSelection::check_possible(const SweepRun& run) {
  select(compute(run), options_for(run), source_);
}

const ScoredMethod& SweepSelection::score(const SweepRun& run) {
  const ScoredMethod& scored = compute(run);
  if (!written_.insert(key_of(run)).second) return scored;
  make_folder(folder_ / scores_folder(seed_));
  write_scores(scored, provenance());
  return scored;
}

SubsetChoice SweepSelection::choose(const SweepRun& run) {
  const ScoredMethod& scored = score(run);
  const Selection selection = select(scored, options_for(run), source_);
  const auto samples = static_cast<std::int64_t>(scored.score.size());
  const DynamicsHeader& header = source_.store()->header();

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
                    {"kept_by_class", count_by_class(selection.ids, header.labels, header.classes)},
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
