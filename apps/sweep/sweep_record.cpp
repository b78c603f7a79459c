#include "apps/sweep/sweep_record.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/sweep/shard_records.h"
#include "apps/sweep/sweep_plan.h"
#include "apps/train/recorded_flags.h"
#include "apps/train/run_fingerprint.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "engine/trainer.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "tdds-sweep-1";
constexpr std::uint64_t kLargestRecord = std::uint64_t{1} << 28;

Json to_json(const ScoringRecord& r) {
  return {{"seed", r.seed},
          {"folder", r.folder},
          {"best_accuracy", r.best_accuracy},
          {"last_accuracy", r.last_accuracy}};
}

Json to_json(const RunRecord& r) {
  return {{"method", r.method},
          {"rate", r.rate},
          {"seed", r.seed},
          {"kept", r.kept},
          {"epochs", r.epochs},
          {"steps", r.steps},
          {"best_accuracy", r.best_accuracy},
          {"last_accuracy", r.last_accuracy},
          {"folder", r.folder},
          {"selection", r.selection}};
}

Json to_json(const PlantedRecord& r) {
  return {{"method", r.method}, {"seed", r.seed},           {"end", r.end},
          {"count", r.count},   {"precision", r.precision}, {"recall", r.recall}};
}

template <class Record>
Json to_json(const std::vector<Record>& records) {
  Json list = Json::array();
  for (const Record& record : records) list.push_back(to_json(record));
  return list;
}

ScoringRecord scoring_record(const Json& j) {
  return {j.at("seed"), j.at("folder"), j.at("best_accuracy"), j.at("last_accuracy")};
}

RunRecord run_record(const Json& j) {
  return {j.at("method"), j.at("rate"),          j.at("seed"),          j.at("kept"),   j.at("epochs"),
          j.at("steps"),  j.at("best_accuracy"), j.at("last_accuracy"), j.at("folder"), j.at("selection")};
}

template <class Run>
void check_accuracies(const Run& run, const std::filesystem::path& path) {
  for (const double percent : {run.best_accuracy, run.last_accuracy})
    check(percent >= 0 && percent <= 100, "{}: {} has an accuracy of {} %, which is not between 0 and 100",
          path.string(), run.folder, percent);
}

PlantedRecord planted_record(const Json& j) {
  return {j.at("method"), j.at("seed"), j.at("end"), j.at("count"), j.at("precision"), j.at("recall")};
}

// As this version writes the value: numbers in their shortest form, lists without brackets.
std::string canonical(const std::string& flag, const std::string& text) {
  SweepFlags flags;
  TrainConfig config;
  const FlagTable table = sweep_flags(flags, config);
  const Flag* known = find_flag(table, flag);
  if (!known) return text;
  known->variable.set(flag, text);
  return known->variable.get();
}

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// A word of --methods or --seeds that `now` leaves out although a run of it is recorded, or "".
std::string left_out(const SweepRecord& before, const std::string& flag, const std::string& now) {
  const std::vector<std::string> kept = split_list(now);
  for (const ScoringRecord& run : before.scoring_runs)
    if (flag == "seeds" && !contains(kept, std::to_string(run.seed))) return std::to_string(run.seed);
  for (const RunRecord& run : before.runs)
    if (flag == "methods" && !contains(kept, run.method)) return run.method;
  return "";
}

// The value that a sweep was started with, to be compared with `now`. If the record lacks the flag, which did
// not exist then, or holds `auto`, the value is a guess, which is appended to `guessed`.
std::string setting_then(const SweepRecord& before, const std::string& flag, const std::string& now,
                         const SweepDefaults& defaults, std::vector<std::string>& guessed) {
  const std::string *recorded = find_text(before.settings, flag),
                    *automatic = find_text(defaults.automatic, flag);
  const bool unresolved = automatic && (!recorded || *recorded == "auto" || *recorded == "0");
  if (recorded && (!unresolved || *recorded == now)) return *recorded;
  std::string then;
  if (unresolved)
    then = *automatic;
  else if (const std::string* standard = find_text(defaults.flags, flag))
    then = *standard;
  guessed.push_back(fmt::format("--{} {}", flag, then.empty() ? "(nothing)" : then));
  return then;
}

}  // namespace

const ScoringRecord* SweepRecord::scoring_run(std::uint64_t seed) const {
  for (const ScoringRecord& record : scoring_runs)
    if (record.seed == seed) return &record;
  return nullptr;
}

const RunRecord* SweepRecord::run(const std::string& method, double rate, std::uint64_t seed) const {
  for (const RunRecord& record : runs)
    if (record.method == method && record.rate == rate && record.seed == seed) return &record;
  return nullptr;
}

void write_sweep(const std::filesystem::path& path, const SweepRecord& r) {
  RunFingerprint images = r.images;
  images.erase("fingerprint");  // has its own key, as in older records
  const Json json{{"format", kFormat},
                  {"dataset", r.dataset},
                  {"fingerprint", r.images.at("fingerprint")},
                  {"arch", r.arch},
                  {"width", r.width},
                  {"epochs", r.epochs},
                  {"budget", r.budget},
                  {"samples", r.samples},
                  {"images", images},
                  {"settings", to_json(r.settings)},
                  {"scoring_runs", to_json(r.scoring_runs)},
                  {"runs", to_json(r.runs)},
                  {"wrong_labels", to_json(r.wrong_labels)},
                  {"corrupted", to_json(r.corrupted)},
                  {"near_duplicates", to_json(r.near_duplicates)}};
  write_file_atomically(path, json_text(json, 1) + "\n");
}

SweepRecord read_sweep(const std::filesystem::path& path) {
  const std::string text = read_file(path, kLargestRecord);
  const auto refuse = [&](std::string_view reason) {
    throw Error(fmt::format("{} is not a file that tdds-sweep wrote: {}; tdds-sweep --overwrite starts over",
                            path.string(), reason));
  };
  SweepRecord r;
  try {
    const Json json = Json::parse(text);
    const std::string format = json.at("format");
    check(format == kFormat,
          "{} has the format '{}', and this program reads {}; a new sweep needs another --save_path",
          path.string(), format, kFormat);
    r.dataset = json.at("dataset");
    r.images = json.value("images", RunFingerprint{});
    r.images["fingerprint"] = json.at("fingerprint");
    r.arch = json.at("arch");
    r.width = json.at("width");
    r.epochs = json.at("epochs");
    r.budget = json.at("budget");
    r.samples = json.at("samples");
    for (const auto& [flag, value] : texts_from_json(json.at("settings")))
      r.settings.emplace_back(flag, canonical(flag, value));
    for (const Json& each : json.at("scoring_runs")) r.scoring_runs.push_back(scoring_record(each));
    for (const Json& each : json.at("runs")) r.runs.push_back(run_record(each));
    for (const Json& each : json.at("wrong_labels")) r.wrong_labels.push_back(planted_record(each));
    for (const Json& each : json.value("corrupted", Json::array()))
      r.corrupted.push_back(planted_record(each));
    for (const Json& each : json.value("near_duplicates", Json::array()))
      r.near_duplicates.push_back(planted_record(each));
  } catch (const Json::exception& reason) {
    // "[json.exception.out_of_range.403] key 'runs' not found": the part after the bracket is readable.
    const std::string_view what = reason.what();
    refuse(what.substr(what.find("] ") + 2));
  } catch (const UsageError& reason) {  // an invalid setting
    refuse(reason.what());
  }
  for (const ScoringRecord& run : r.scoring_runs) check_accuracies(run, path);
  for (const RunRecord& run : r.runs) {
    check_accuracies(run, path);
    check(run.rate > 0 && run.rate < 1,
          "{}: a run of {} has the pruning rate {}, which is not between 0 and 1", path.string(), run.method,
          run.rate);
  }
  return r;
}

std::string SweepRecord::setting(const std::string& flag) const {
  const std::string* text = find_text(settings, flag);
  return text ? *text : "";
}

std::int64_t SweepRecord::kept(double rate) const {
  for (const RunRecord& run : runs)
    if (run.rate == rate) return run.kept;
  return rate > 0 ? 0 : samples;
}

std::int32_t SweepRecord::batch(double rate) const {
  const SweepFlags flags = sweep_settings(*this);
  if (rate == 0) return flags.batch_size.value_or(0);
  const std::vector<std::int32_t>& batches = flags.subset_batches;
  if (batches.size() == 1) return batches[0];
  const auto at = std::find(flags.rates.begin(), flags.rates.end(), rate) - flags.rates.begin();
  return at < std::ssize(batches) ? batches[static_cast<std::size_t>(at)] : 0;
}

std::int64_t SweepRecord::steps(double rate) const {
  for (const RunRecord& run : runs)
    if (run.rate == rate) return run.steps;
  return rate > 0 ? 0 : epochs * steps_per_epoch(samples, std::max(1, batch(0)));
}

SweepFlags sweep_settings(const SweepRecord& record) {
  SweepFlags flags{.methods = {}, .rates = {}, .seeds = {}};
  TrainConfig config;
  const FlagTable table = sweep_flags(flags, config);
  for (const auto& [name, text] : record.settings)
    if (const Flag* known = find_flag(table, name)) known->variable.set(name, text);
  return flags;
}

std::vector<std::string> folders_of(const SweepRecord& record) {
  const SweepFlags flags = sweep_settings(record);
  std::vector<std::string> folders;
  for (const std::uint64_t seed : flags.seeds) {
    folders.push_back(scoring_folder(seed));
    folders.push_back(scores_folder(seed));
    for (const std::string& method : flags.methods)
      for (const double rate : flags.rates)
        // A sweep writes no name with a slash, which might lead to another folder.
        if (method.find('/') == std::string::npos) folders.push_back(run_folder(seed, method, rate));
  }
  return folders;
}

bool records_features(const SweepRecord& record) {
  const std::vector<std::string> methods = split_list(record.setting("methods"));
  return record.setting("dynamics_features") == "true" ||
         (!methods.empty() && need_features(parse_methods(methods)));
}

std::vector<std::string> check_continues(const SweepRecord& before, const SweepRecord& now,
                                         const SweepDefaults& defaults, const std::filesystem::path& path) {
  check(records_features(before) || !records_features(now),
        "{} was started without features, which {} and --dynamics_features need: leave those out, start over "
        "with --overwrite, or choose another --save_path",
        path.string(), names_of(needs_features));
  std::vector<std::string> guessed;
  for (const auto& [flag, value] : now.settings) {
    if (changes_no_result(flag) || flag == "dynamics_features") continue;
    const std::string old = setting_then(before, flag, value, defaults, guessed);
    if (flag == "methods" || flag == "seeds") {
      const std::string missing = left_out(before, flag, value);
      check(missing.empty(),
            "{} holds runs of --{} {}, which {} leaves out; {} may only be added: give it too, start over "
            "with --overwrite, or choose another --save_path",
            path.string(), flag, missing, value, flag);
      continue;
    }
    check(old == value,
          "{} was started with --{} {}, and this command has {}; give the same settings, start over with "
          "--overwrite, or choose another --save_path",
          path.string(), flag, old.empty() ? "(nothing)" : old, value.empty() ? "(nothing)" : value);
  }
  std::vector<std::string> untold, notes;
  check_same_images(before.images, now.images, path.string(), untold);
  if (!guessed.empty())
    notes.push_back(
        fmt::format("{} is from an older version, which did not record these; they are assumed to have the "
                    "values of that time: {}",
                    path.string(), fmt::join(guessed, ", ")));
  if (!untold.empty())
    notes.push_back(fmt::format(
        "{} is from an older version, which did not record these; they are assumed to be the same: {}",
        path.string(), fmt::join(untold, ", ")));
  return notes;
}

FlagTexts flags_of_sweep(const FlagTexts& flags) {
  const std::string *folder = find_text(flags, "save_path"), *overwrite = find_text(flags, "overwrite");
  if (!folder || (overwrite && *overwrite == "true")) return {};
  const std::vector<std::filesystem::path> records = record_files(*folder);
  if (records.empty()) return {};
  FlagTexts recorded = read_sweep(records.front()).settings;
  drop_flags_of_one_start(recorded);
  return recorded;
}

}  // namespace tdds
