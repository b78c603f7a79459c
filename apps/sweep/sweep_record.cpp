#include "apps/sweep_record.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "apps/sweep_flags.h"
#include "apps/sweep_plan.h"
#include "engine/files.h"
#include "kernels/check.h"

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

PlantedRecord planted_record(const Json& j) {
  return {j.at("method"), j.at("seed"), j.at("end"), j.at("count"), j.at("precision"), j.at("recall")};
}

std::vector<std::string> words(const std::string& list) {
  std::vector<std::string> all;
  std::istringstream text(list);
  for (std::string word; std::getline(text, word, ',');) all.push_back(word);
  return all;
}

template <class Number>
std::optional<Number> number(const std::string& word) {
  Number value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// A seed may be too long for a double.
bool same_word(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto whole_a = number<std::uint64_t>(a), whole_b = number<std::uint64_t>(b);
  if (whole_a && whole_b) return *whole_a == *whole_b;
  const auto real_a = number<double>(a), real_b = number<double>(b);
  return real_a && real_b && *real_a == *real_b;
}

bool same_list(const std::string& a, const std::string& b) {
  const auto left = words(a), right = words(b);
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), same_word);
}

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::any_of(list.begin(), list.end(), [&](const auto& each) { return same_word(each, word); });
}

// The word of --methods or --seeds that `now` leaves out though a run of it is recorded; empty: there is none.
std::string left_out(const SweepRecord& before, const std::string& flag, const std::string& now) {
  const std::vector<std::string> kept = words(now);
  for (const ScoringRecord& run : before.scoring_runs)
    if (flag == "seeds" && !contains(kept, std::to_string(run.seed))) return std::to_string(run.seed);
  for (const RunRecord& run : before.runs)
    if (flag == "methods" && !contains(kept, run.method)) return run.method;
  return "";
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
  Json settings = Json::object();
  for (const auto& [flag, value] : r.settings) settings[flag] = value;
  const Json json{{"format", kFormat},
                  {"dataset", r.dataset},
                  {"fingerprint", r.fingerprint},
                  {"arch", r.arch},
                  {"width", r.width},
                  {"epochs", r.epochs},
                  {"budget", r.budget},
                  {"samples", r.samples},
                  {"settings", settings},
                  {"scoring_runs", to_json(r.scoring_runs)},
                  {"runs", to_json(r.runs)},
                  {"wrong_labels", to_json(r.wrong_labels)},
                  {"corrupted", to_json(r.corrupted)},
                  {"near_duplicates", to_json(r.near_duplicates)}};
  write_file_atomically(path, json.dump(1) + "\n");
}

SweepRecord read_sweep(const std::filesystem::path& path) {
  const std::string text = read_file(path, kLargestRecord);
  SweepRecord r;
  try {
    const Json json = Json::parse(text);
    check(json.at("format") == kFormat, "{} has another format than {}; choose another --save_path",
          path.string(), kFormat);
    r.dataset = json.at("dataset");
    r.fingerprint = json.at("fingerprint");
    r.arch = json.at("arch");
    r.width = json.at("width");
    r.epochs = json.at("epochs");
    r.budget = json.at("budget");
    r.samples = json.at("samples");
    for (const auto& [flag, value] : json.at("settings").items())
      r.settings.emplace_back(flag, value.get<std::string>());
    for (const Json& each : json.at("scoring_runs")) r.scoring_runs.push_back(scoring_record(each));
    for (const Json& each : json.at("runs")) r.runs.push_back(run_record(each));
    for (const Json& each : json.at("wrong_labels")) r.wrong_labels.push_back(planted_record(each));
    for (const Json& each : json.value("corrupted", Json::array()))
      r.corrupted.push_back(planted_record(each));
    for (const Json& each : json.value("near_duplicates", Json::array()))
      r.near_duplicates.push_back(planted_record(each));
  } catch (const Json::exception&) {
    throw Error(fmt::format("{} is no record of a sweep; start anew with --overwrite", path.string()));
  }
  return r;
}

std::string SweepRecord::setting(const std::string& flag) const {
  for (const auto& [name, value] : settings)
    if (name == flag) return value;
  return "";
}

std::vector<std::string> folders_of(const SweepRecord& record) {
  std::vector<std::string> folders;
  for (const std::string& seed_word : words(record.setting("seeds"))) {
    const auto seed = number<std::uint64_t>(seed_word);
    if (!seed) continue;
    folders.push_back(scoring_folder(*seed));
    folders.push_back(scores_folder(*seed));
    for (const std::string& method : words(record.setting("methods")))
      for (const std::string& rate : words(record.setting("rates")))
        // A name with a slash is none that a sweep wrote, and might lead elsewhere.
        if (const auto share = number<double>(rate); share && method.find('/') == std::string::npos)
          folders.push_back(run_folder(*seed, method, *share));
  }
  return folders;
}

bool records_features(const SweepRecord& record) {
  const std::vector<std::string> methods = words(record.setting("methods"));
  return record.setting("dynamics_features") == "true" ||
         (!methods.empty() && need_features(parse_methods(methods)));
}

void check_continues(const SweepRecord& before, const SweepRecord& now, const std::filesystem::path& path) {
  check(records_features(before) || !records_features(now),
        "{} was begun without features, which grand, moderate and --dynamics_features need: leave those out, "
        "start anew with --overwrite, or choose another --save_path",
        path.string());
  for (const auto& [flag, value] : now.settings) {
    if (changes_no_result(flag) || flag == "dynamics_features") continue;
    const std::string old = before.setting(flag);
    if (flag == "methods" || flag == "seeds") {
      const std::string missing = left_out(before, flag, value);
      check(
          missing.empty(),
          "{} holds runs of --{} {}, which {} leaves out; {} may only be added: give it too, start anew with "
          "--overwrite, or choose another --save_path",
          path.string(), flag, missing, value, flag);
      continue;
    }
    check(same_list(old, value),
          "{} was begun with --{} {}, and this command has {}; give the same settings, start anew with "
          "--overwrite, or choose another --save_path",
          path.string(), flag, old.empty() ? "(nothing)" : old, value.empty() ? "(nothing)" : value);
  }
  check(before.fingerprint == now.fingerprint,
        "{} was begun on another {} than what is there now; start anew with --overwrite, or choose another "
        "--save_path",
        path.string(), now.dataset);
}

}  // namespace tdds
