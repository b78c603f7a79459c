#include "apps/sweep_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "apps/sweep_flags.h"
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

std::set<std::string> words(const std::string& list) {
  std::set<std::string> all;
  std::istringstream text(list);
  for (std::string word; std::getline(text, word, ',');) all.insert(word);
  return all;
}

bool contains_all(const std::string& list, const std::string& of) {
  const auto more = words(list), less = words(of);
  return std::includes(more.begin(), more.end(), less.begin(), less.end());
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

void check_continues(const SweepRecord& before, const SweepRecord& now, const std::filesystem::path& path) {
  for (const auto& [flag, value] : now.settings) {
    if (changes_no_result(flag)) continue;
    const auto stored = std::find_if(before.settings.begin(), before.settings.end(),
                                     [&, name = flag](const auto& setting) { return setting.first == name; });
    const std::string old = stored == before.settings.end() ? "" : stored->second;
    if (flag == "methods" || flag == "seeds") {
      check(
          contains_all(value, old),
          "{} was begun with --{} {}, and {} leaves some of them out; {} may only be added: give those too, "
          "start anew with --overwrite, or choose another --save_path",
          path.string(), flag, old, value, flag);
      continue;
    }
    check(old == value,
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
