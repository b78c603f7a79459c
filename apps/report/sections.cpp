#include "apps/report/sections.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "apps/cli/cli.h"
#include "apps/report/base64.h"
#include "apps/train/train_options.h"
#include "tdds/selection/selection.h"
#include "tdds/statistics/rank_correlation.h"

namespace tdds::report {
namespace {

using Json = nlohmann::ordered_json;

Json correlations(const std::vector<std::string>& names,
                  const std::vector<const std::vector<double>*>& ranks) {
  Json json{{"names", names}, {"values", Json::array()}};
  std::vector<std::vector<double>> values(ranks.size(), std::vector<double>(ranks.size()));
  for (std::size_t i = 0; i < ranks.size(); ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      const double value = correlation_of_ranks(*ranks[i], *ranks[j]);
      values[i][j] = values[j][i] = std::round(1e4 * value) / 1e4;
    }
  json["values"] = values;
  return json;
}

Json histogram_json(const ReportScore& score, const GroundTruth* truth) {
  constexpr int kBins = 40;
  const Histogram bins = histogram(score.score, kBins);
  Json json{{"low", bins.low}, {"high", bins.high}, {"counts", bins.counts}};
  if (!truth) return json;
  std::vector<std::int64_t> wrong(kBins);
  for (std::size_t i = 0; i < score.score.size(); ++i)
    wrong[static_cast<std::size_t>(bins.bin_of(score.score[i]))] += truth->wrong_label[i] != 0;
  json["wrong"] = wrong;
  return json;
}

// Shares 0 .. 1 as integers from 0 to the largest T, in base64.
template <typename T>
std::string fixed_point(std::span<const float> shares) {
  constexpr float kMax = static_cast<float>(std::numeric_limits<T>::max());
  std::vector<T> values;
  values.reserve(shares.size());
  for (const float share : shares)
    values.push_back(static_cast<T>(std::lround(std::clamp(share, 0.f, 1.f) * kMax)));
  return base64_of<T>(values);
}

Json repetitions_json(const std::vector<double>& values) {
  const Repetitions r = repetitions(values);
  return {{"mean", r.mean}, {"deviation", r.deviation}, {"count", r.count}};
}

struct Accuracies {
  std::vector<double> best, last;
  template <class Run>
  void add(const Run& run) {
    best.push_back(run.best_accuracy);
    last.push_back(run.last_accuracy);
  }
  Json json() const { return {{"best", repetitions_json(best)}, {"last", repetitions_json(last)}}; }
};

void add_planted(Json& json, const char* key, const std::vector<PlantedRecord>& records) {
  std::vector<std::pair<std::string, std::string>>
      ends;  // a method and an end of its order, as in the record
  for (const PlantedRecord& found : records)
    if (const std::pair of{found.method, found.end}; std::find(ends.begin(), ends.end(), of) == ends.end())
      ends.push_back(of);
  for (const auto& [method, end] : ends) {
    std::vector<double> precision, recall;
    for (const PlantedRecord& found : records)
      if (found.method == method && found.end == end) {
        precision.push_back(found.precision);
        recall.push_back(found.recall);
      }
    json[key].push_back({{"method", method},
                         {"end", end},
                         {"precision", repetitions_json(precision)},
                         {"recall", repetitions_json(recall)}});
  }
}

}  // namespace

Json facts_json(const ReportInput& input) {
  Json facts = Json::array();
  const auto add = [&](const char* name, const std::string& value) { facts.push_back({name, value}); };
  add("Data set", input.dataset_name());
  add("Samples", fmt::format("{}", input.samples()));
  if (input.classes() > 0) add("Classes", fmt::format("{}", input.classes()));
  add("Epochs recorded", fmt::format("{}", input.source().epochs()));
  add("Recorded in", input.source().path());
  if (!input.set().missing_visits.empty()) add("Visits", input.set().missing_visits);
  if (const DynamicsReader* store = input.source().store()) {
    add("Seed of the run", fmt::format("{}", store->header().seed));
    if (!store->header().fingerprint.empty())
      add("Fingerprint of the data", store->header().fingerprint.substr(0, 16));
    if (!store->torn_end().empty()) add("Left out", store->torn_end());
  }
  if (const SweepRecord* sweep = input.sweep()) {
    add("Sweep", input.sweep_path());
    add("Network of the sweep", fmt::format("{}, width {}, {} epochs, budget {}", sweep->arch, sweep->width,
                                            sweep->epochs, sweep->budget));
  }
  add("Written by", "tdds-report " + version_text());
  return facts;
}

Json scores_json(const ReportInput& input, double rate) {
  Json json = Json::array();
  for (const ReportScore& score : input.set().scores) {
    Json one{{"name", score.method->name},
             {"setting", score.setting},
             {"formula", score.method->score},
             {"kept", score.method->kept},
             {"source", score.method->source},
             {"variant", score.variant},
             {"histogram", histogram_json(score, input.truth())},
             {"standings", fixed_point<std::uint8_t>(score.standing)}};
    if (!input.labels().empty())
      one["kept_by_class"] = count_by_class(kept_ids(score.order, rate), input.labels(), input.classes());
    json.push_back(std::move(one));
  }
  return json;
}

Json method_correlations_json(const ReportInput& input) {
  std::vector<std::string> names;
  std::vector<const std::vector<double>*> ranks;
  for (const ReportScore& score : input.set().scores) {
    names.push_back(score.method->name);
    ranks.push_back(&score.ranks);
  }
  return names.size() < 2 ? Json() : correlations(names, ranks);
}

Json setting_correlations_json(const ReportInput& input) {
  const ScoreSet& set = input.set();
  std::vector<std::size_t> order(set.settings.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto &x = set.settings[a], &y = set.settings[b];
    return std::pair(x.window_size, x.trajectory_len) < std::pair(y.window_size, y.trajectory_len);
  });
  std::vector<std::string> names;
  std::vector<const std::vector<double>*> ranks;
  for (const std::size_t i : order) {
    names.push_back(to_string(set.settings[i]));
    ranks.push_back(&set.ranks[i]);
  }
  return names.size() < 2 ? Json() : correlations(names, ranks);
}

Json map_json(const ReportInput& input, const DataMap& map) {
  std::vector<std::vector<float>> standings;
  for (const ReportScore& score : input.set().scores) standings.push_back(score.standing);
  Json json{{"mean", fixed_point<std::uint16_t>(map.mean)},
            {"deviation", fixed_point<std::uint16_t>(map.deviation)}};
  constexpr int kBands = 5;
  for (const ConfidenceBand& band : confidence_bands(map, standings, kBands))
    json["bands"].push_back({{"low", band.low},
                             {"high", band.high},
                             {"samples", band.samples},
                             {"deviation", band.deviation},
                             {"standings", band.standings}});
  if (!input.labels().empty()) {
    const std::vector<std::uint16_t> labels(input.labels().begin(), input.labels().end());
    json["labels"] = base64_of<std::uint16_t>(labels);
  }
  if (const GroundTruth* truth = input.truth()) {
    json["wrong"] = Json::array();
    for (std::size_t i = 0; i < truth->wrong_label.size(); ++i)
      if (truth->wrong_label[i] != 0) json["wrong"].push_back(i);
  }
  return json;
}

Json classes_json(const ReportInput& input) {
  if (input.labels().empty()) return {};
  std::vector<std::int64_t> all(static_cast<std::size_t>(input.samples()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  Json names = Json::array();
  for (std::int32_t c = 0; c < input.classes(); ++c) names.push_back(input.class_name(c));
  return {{"names", names}, {"counts", count_by_class(all, input.labels(), input.classes())}};
}

Json found_json(const ReportInput& input, const std::vector<std::uint8_t>& planted) {
  const auto count = std::count_if(planted.begin(), planted.end(), [](std::uint8_t is) { return is != 0; });
  if (count == 0) return {};
  std::vector<std::uint8_t> marks(planted.size());
  std::transform(planted.begin(), planted.end(), marks.begin(),
                 [](std::uint8_t is) { return static_cast<std::uint8_t>(is != 0 ? 1 : 0); });
  Json json{{"planted", count}, {"samples", input.samples()}, {"methods", Json::array()}};
  for (const ReportScore& score : input.set().scores) {
    const FoundShares found = found_at_ends(score.order, marks);
    json["methods"].push_back({{"name", score.method->name}, {"low", found.low}, {"high", found.high}});
  }
  return json;
}

Json sweep_json(const SweepRecord& sweep) {
  Accuracies full;
  for (const ScoringRecord& run : sweep.scoring_runs) full.add(run);
  std::vector<std::string> methods;  // in the order of the record
  std::map<std::string, std::map<double, Accuracies>> results;
  for (const RunRecord& run : sweep.runs) {
    if (!results.contains(run.method)) methods.push_back(run.method);
    results[run.method][run.rate].add(run);
  }
  Json json{{"full", full.json()}, {"methods", Json::array()}};
  for (const std::string& method : methods) {
    Json points = Json::array();
    for (const auto& [rate, accuracies] : results[method]) {
      points.push_back({{"rate", rate}});
      points.back().update(accuracies.json());
    }
    json["methods"].push_back({{"name", method}, {"points", std::move(points)}});
  }
  std::set<double> rates{0};
  for (const RunRecord& run : sweep.runs) rates.insert(run.rate);
  for (const double rate : rates)
    json["trainings"].push_back({{"rate", rate},
                                 {"kept", sweep.kept(rate)},
                                 {"batch", sweep.batch(rate)},
                                 {"steps", sweep.steps(rate)},
                                 {"warning", rate > 0 ? few_steps_warning(sweep.steps(rate)) : ""}});
  add_planted(json, "wrong_labels", sweep.wrong_labels);
  add_planted(json, "corrupted", sweep.corrupted);
  add_planted(json, "near_duplicates", sweep.near_duplicates);
  return json;
}

}  // namespace tdds::report
