#include "apps/report/sections.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "apps/cli.h"
#include "apps/report/base64.h"
#include "tdds/rank_correlation.h"
#include "tdds/selection.h"

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

Json histogram_json(const ReportScore& score, const PlantedTruth* truth) {
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

// Shares of 0 .. 1 in `steps` of 0 .. max.
template <typename T>
std::string fixed_point(std::span<const float> shares) {
  constexpr float kMost = static_cast<float>(std::numeric_limits<T>::max());
  std::vector<T> values;
  values.reserve(shares.size());
  for (const float share : shares)
    values.push_back(static_cast<T>(std::lround(std::clamp(share, 0.f, 1.f) * kMost)));
  return base64_of<T>(values);
}

Json repetitions_json(const Repetitions& value) {
  return {{"mean", value.mean}, {"deviation", value.deviation}, {"count", value.count}};
}

}  // namespace

Json facts_json(const Subject& subject) {
  Json facts = Json::array();
  const auto add = [&](const char* name, const std::string& value) { facts.push_back({name, value}); };
  add("Data set", subject.dataset_name());
  add("Samples", fmt::format("{}", subject.samples()));
  if (subject.classes() > 0) add("Classes", fmt::format("{}", subject.classes()));
  add("Epochs recorded", fmt::format("{}", subject.source().epochs()));
  add("Recorded in", subject.source().path());
  if (const DynamicsReader* store = subject.source().store()) {
    add("Seed of the run", fmt::format("{}", store->header().seed));
    if (!store->header().fingerprint.empty())
      add("Fingerprint of the data", store->header().fingerprint.substr(0, 16));
    if (!store->torn_end().empty()) add("Left out", store->torn_end());
  }
  if (const Sweep* sweep = subject.sweep()) {
    add("Sweep", sweep->path);
    add("Network of the sweep", fmt::format("{}, width {}, {} epochs, budget {}", sweep->arch, sweep->width,
                                            sweep->epochs, sweep->budget));
  }
  add("Written by", "tdds-report " + version_text());
  return facts;
}

Json scores_json(const Subject& subject, double rate) {
  Json json = Json::array();
  for (const ReportScore& score : subject.set().scores) {
    Json one{{"name", score.name},
             {"setting", score.setting},
             {"formula", score.formula},
             {"kept", score.kept},
             {"source", score.source},
             {"variant", score.variant},
             {"histogram", histogram_json(score, subject.truth())},
             {"standings", fixed_point<std::uint8_t>(score.standing)}};
    if (!subject.labels().empty())
      one["kept_by_class"] = count_by_class(kept_ids(score.order, rate), subject.labels(), subject.classes());
    json.push_back(std::move(one));
  }
  return json;
}

Json method_correlations_json(const Subject& subject) {
  std::vector<std::string> names;
  std::vector<const std::vector<double>*> ranks;
  for (const ReportScore& score : subject.set().scores) {
    names.push_back(score.name);
    ranks.push_back(&score.ranks);
  }
  return names.size() < 2 ? Json() : correlations(names, ranks);
}

Json setting_correlations_json(const Subject& subject) {
  const ScoreSet& set = subject.set();
  std::vector<std::size_t> order(set.settings.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto &x = set.settings[a], &y = set.settings[b];
    return std::pair(x.window_size, x.trajectory_len) < std::pair(y.window_size, y.trajectory_len);
  });
  std::vector<std::string> names;
  std::vector<const std::vector<double>*> ranks;
  for (const std::size_t i : order) {
    names.push_back(text_of(set.settings[i]));
    ranks.push_back(&set.ranks[i]);
  }
  return names.size() < 2 ? Json() : correlations(names, ranks);
}

Json map_json(const Subject& subject, const DataMap& map) {
  std::vector<std::vector<float>> standings;
  for (const ReportScore& score : subject.set().scores) standings.push_back(score.standing);
  Json json{{"mean", fixed_point<std::uint16_t>(map.mean)},
            {"deviation", fixed_point<std::uint16_t>(map.deviation)}};
  constexpr int kBands = 5;
  for (const ConfidenceBand& band : confidence_bands(map, standings, kBands))
    json["bands"].push_back({{"low", band.low},
                             {"high", band.high},
                             {"samples", band.samples},
                             {"deviation", band.deviation},
                             {"standings", band.standings}});
  if (!subject.labels().empty()) {
    const std::vector<std::uint16_t> labels(subject.labels().begin(), subject.labels().end());
    json["labels"] = base64_of<std::uint16_t>(labels);
  }
  if (const PlantedTruth* truth = subject.truth()) {
    json["wrong"] = Json::array();
    for (std::size_t i = 0; i < truth->wrong_label.size(); ++i)
      if (truth->wrong_label[i] != 0) json["wrong"].push_back(i);
  }
  return json;
}

Json classes_json(const Subject& subject) {
  if (subject.labels().empty()) return {};
  std::vector<std::int64_t> all(static_cast<std::size_t>(subject.samples()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  Json names = Json::array();
  for (std::int32_t c = 0; c < subject.classes(); ++c) names.push_back(subject.class_name(c));
  return {{"names", names}, {"counts", count_by_class(all, subject.labels(), subject.classes())}};
}

Json found_json(const Subject& subject, const std::vector<std::uint8_t>& planted) {
  const auto count = std::count_if(planted.begin(), planted.end(), [](std::uint8_t is) { return is != 0; });
  if (count == 0) return {};
  std::vector<std::uint8_t> marks(planted.size());
  std::transform(planted.begin(), planted.end(), marks.begin(),
                 [](std::uint8_t is) { return static_cast<std::uint8_t>(is != 0 ? 1 : 0); });
  Json json{{"planted", count}, {"samples", subject.samples()}, {"methods", Json::array()}};
  for (const ReportScore& score : subject.set().scores) {
    const FoundShares found = found_at_ends(score.order, marks);
    json["methods"].push_back({{"name", score.name}, {"low", found.low}, {"high", found.high}});
  }
  return json;
}

Json sweep_json(const Sweep& sweep) {
  Json json{
      {"full", {{"best", repetitions_json(sweep.full_best)}, {"last", repetitions_json(sweep.full_last)}}},
      {"methods", Json::array()}};
  for (const std::string& method : sweep.methods) {
    Json points = Json::array();
    for (const SweepPoint& point : sweep.results.at(method))
      points.push_back({{"rate", point.rate},
                        {"best", repetitions_json(point.best)},
                        {"last", repetitions_json(point.last)}});
    json["methods"].push_back({{"name", method}, {"points", std::move(points)}});
  }
  const auto add = [&](const char* key, const std::vector<PlantedFound>& planted) {
    for (const PlantedFound& found : planted)
      json[key].push_back({{"method", found.method},
                           {"end", found.end},
                           {"precision", repetitions_json(found.precision)},
                           {"recall", repetitions_json(found.recall)}});
  };
  add("wrong_labels", sweep.wrong_labels);
  add("corrupted", sweep.corrupted);
  add("near_duplicates", sweep.near_duplicates);
  return json;
}

}  // namespace tdds::report
