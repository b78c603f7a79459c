#include "apps/report/contact_sheets.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "apps/report/base64.h"
#include "tdds/selection/selection.h"

namespace tdds::report {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::int32_t> lowest(const std::vector<std::int64_t>& order, int images) {
  const std::size_t count = std::min(order.size(), static_cast<std::size_t>(images));
  return {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::vector<std::int32_t> highest(const std::vector<std::int64_t>& order, int images) {
  const std::size_t count = std::min(order.size(), static_cast<std::size_t>(images));
  return {order.rbegin(), order.rbegin() + static_cast<std::ptrdiff_t>(count)};
}

const ReportScore* find_score(const ScoreSet& set, const Method& method, int& index) {
  for (std::size_t i = 0; i < set.scores.size(); ++i) {
    if (set.scores[i].method != &method) continue;
    index = static_cast<int>(i);
    return &set.scores[i];
  }
  return nullptr;
}

void add_ends(const ScoreSet& set, int images, std::vector<ContactSheet>& sheets) {
  for (std::size_t i = 0; i < set.scores.size(); ++i) {
    const ReportScore& score = set.scores[i];
    if (score.variant) continue;
    const int index = static_cast<int>(i);
    sheets.push_back({"images", score.method->name, "highest scores: kept to the last", "", index,
                      highest(score.order, images)});
    sheets.push_back({"images", score.method->name, "lowest scores: pruned first", "", index,
                      lowest(score.order, images)});
  }
}

void add_disputed(const ScoreSet& set, int images, std::vector<ContactSheet>& sheets) {
  std::vector<std::vector<float>> standings;
  std::string names;
  for (const ReportScore& score : set.scores) {
    if (score.variant) continue;
    standings.push_back(score.standing);
    names += fmt::format("{}{}", names.empty() ? "" : ", ", score.method->name);
  }
  if (standings.size() < 2) return;
  const std::vector<float> spread = disagreement(standings);
  sheets.push_back({"images", "most disputed", "largest disagreement between the methods",
                    fmt::format("A sample's standing is its position in a method's order, from 0 to 100 %. "
                                "These samples differ most in their standings by {}.",
                                names),
                    0, highest(order_by_score(spread), images)});
}

void add_suspects(const ReportInput& input, const DataMap* map, int images,
                  std::vector<ContactSheet>& sheets) {
  if (input.labels().empty()) return;
  int index = -1;
  // The score is the negated AUM, so the highest scores have the lowest margins.
  if (const ReportScore* aum = find_score(input.set(), methods::kAum, index))
    sheets.push_back({"suspects", aum->method->name, "lowest area under the margin",
                      "Score: minus the area under the margin.", index, highest(aum->order, images)});
  if (map)
    sheets.push_back({"suspects", "p_y", "lowest mean probability of the given label", "", -1,
                      lowest(order_by_score(map->mean), images)});
}

// p_y of each row over the epochs, in 255ths: [rows][epochs].
std::string trajectories(const DynamicsReader& store, const std::vector<std::int32_t>& rows) {
  const auto epochs = static_cast<std::size_t>(store.epochs());
  std::vector<std::uint8_t> bytes(rows.size() * epochs);
  for (std::size_t e = 0; e < epochs; ++e) {
    const float* loss = store.loss(static_cast<std::int32_t>(e));
    for (std::size_t i = 0; i < rows.size(); ++i)
      bytes[i * epochs + e] =
          static_cast<std::uint8_t>(std::lround(255 * std::exp(-std::max(0.0f, loss[rows[i]]))));
  }
  return base64_of<std::uint8_t>(bytes);
}

// Rounds to the digits that a caption shows.
double rounded(float value) {
  return std::stod(fmt::format("{:.4g}", value));
}

}  // namespace

std::vector<ContactSheet> choose_contact_sheets(const ReportInput& input, const DataMap* map, int images) {
  std::vector<ContactSheet> sheets;
  add_ends(input.set(), images, sheets);
  add_disputed(input.set(), images, sheets);
  add_suspects(input, map, images, sheets);
  return sheets;
}

std::vector<std::int32_t> rows_shown(const std::vector<ContactSheet>& sheets) {
  std::vector<std::int32_t> rows;
  std::unordered_map<std::int32_t, bool> seen;
  for (const ContactSheet& sheet : sheets)
    for (const std::int32_t row : sheet.rows)
      if (seen.emplace(row, true).second) rows.push_back(row);
  return rows;
}

Json tiles_json(const ReportInput& input, const DataMap* map, const std::vector<std::int32_t>& rows) {
  Json json{{"ids", input.sample_ids().of({rows.begin(), rows.end()})}, {"labels", Json::array()}};
  const auto labels = input.labels();
  const GroundTruth* truth = input.truth();
  const Dataset* data = input.data();
  for (const std::int32_t row : rows) {
    const auto at = static_cast<std::size_t>(row);
    if (!labels.empty()) json["labels"].push_back(input.class_name(labels[at]));
    if (truth) {
      json["wrong"].push_back(static_cast<int>(truth->wrong_label[at]));
      json["true"].push_back(input.class_name(truth->true_labels[at]));
      const int corruption = truth->corruption.empty() ? 0 : truth->corruption[at];
      json["corruption"].push_back(corruption == 0 ? "" : to_string(static_cast<Corruption>(corruption - 1)));
    }
    if (data && !data->train_files.empty())
      json["files"].push_back(data->train_files.at(static_cast<std::size_t>(data->train_ids.at(at))));
    if (map) json["mean"].push_back(rounded(map->mean[at]));
  }
  for (const ReportScore& score : input.set().scores) {
    Json values = Json::array(), standings = Json::array();
    for (const std::int32_t row : rows) {
      values.push_back(rounded(score.score[static_cast<std::size_t>(row)]));
      standings.push_back(rounded(score.standing[static_cast<std::size_t>(row)]));
    }
    json["scores"].push_back(std::move(values));
    json["standings"].push_back(std::move(standings));
  }
  const DynamicsReader* store = input.source().store();
  if (store && store->has(DynamicsField::kLoss) && store->epochs() > 0) {
    json["epochs"] = store->epochs();
    json["trajectories"] = trajectories(*store, rows);
  }
  return json;
}

Json sheets_json(const std::vector<ContactSheet>& sheets, const std::vector<std::int32_t>& rows) {
  std::unordered_map<std::int32_t, int> tile_of;
  for (std::size_t i = 0; i < rows.size(); ++i) tile_of[rows[i]] = static_cast<int>(i);
  Json json = Json::array();
  for (const ContactSheet& sheet : sheets) {
    Json tiles = Json::array();
    for (const std::int32_t row : sheet.rows) tiles.push_back(tile_of.at(row));
    json.push_back({{"section", sheet.section},
                    {"group", sheet.group},
                    {"title", sheet.title},
                    {"note", sheet.note},
                    {"score", sheet.score},
                    {"tiles", std::move(tiles)}});
  }
  return json;
}

}  // namespace tdds::report
