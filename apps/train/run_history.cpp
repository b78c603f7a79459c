#include "apps/train/run_history.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <numeric>

#include "apps/cli/progress.h"
#include "apps/train/curve.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

using Json = nlohmann::ordered_json;

EpochMetrics parse(const Json& line) {
  EpochMetrics m;
  m.epoch = line.at("epoch");
  m.train_loss = line.at("train_loss");
  m.train_accuracy = line.at("train_accuracy");
  m.test_loss = line.at("test_loss");
  m.test_accuracy = line.at("test_accuracy");
  m.test_top5 = line.value("test_top5", 0.0);
  if (line.contains("val_loss")) {
    m.val_loss = line.at("val_loss").get<double>();
    m.val_accuracy = line.at("val_accuracy").get<double>();
  }
  m.images_per_second = line.value("images_per_second", 0.0);
  m.seconds = line.value("seconds", 0.0);
  m.skipped_steps = line.value("skipped_steps", std::int64_t{0});
  if (line.contains("score_correlation")) line["score_correlation"].get_to(m.score_correlation);
  return m;
}

// The metadata's value for `key`.
Json parsed(const Metadata& metadata, const char* key, const std::string& path) {
  const auto found = metadata.find(key);
  check(found != metadata.end(), "{} is not a checkpoint of this program; start over with --overwrite", path);
  return Json::parse(found->second);
}

[[noreturn]] void refuse_damaged(const std::string& path) {
  throw Error(fmt::format("{} lacks what a resumed run needs; start over with --overwrite", path));
}

}  // namespace

RunFingerprint recorded_fingerprint(const Metadata& metadata, const std::string& path) {
  try {
    return parsed(metadata, "identity", path).get<RunFingerprint>();
  } catch (const Json::exception&) {
    refuse_damaged(path);
  }
}

RunHistory RunHistory::from_metadata(const Metadata& metadata, const std::string& path) {
  RunHistory history;
  try {
    for (const Json& line : parsed(metadata, "history", path)) history.add(parse(line));
  } catch (const Json::exception&) {
    refuse_damaged(path);
  }
  return history;
}

Metadata RunHistory::to_metadata(const RunFingerprint& fingerprint) const {
  Json lines = Json::array();
  for (const EpochMetrics& metrics : epochs_) lines.push_back(json_line(metrics));
  return {{"identity", Json(fingerprint).dump()}, {"history", lines.dump()}};
}

bool RunHistory::add(const EpochMetrics& metrics) {
  epochs_.push_back(metrics);
  const bool better = epochs_.size() == 1 || metrics.chosen_by() > best().chosen_by();
  if (better) best_ = epochs_.size() - 1;
  return better;
}

Json RunHistory::json_line(const EpochMetrics& m) const {
  Json line{
      {"epoch", m.epoch},         {"train_loss", m.train_loss},       {"train_accuracy", m.train_accuracy},
      {"test_loss", m.test_loss}, {"test_accuracy", m.test_accuracy}, {"test_top5", m.test_top5}};
  if (m.val_loss) {
    line["val_loss"] = *m.val_loss;
    line["val_accuracy"] = *m.val_accuracy;
  }
  line["images_per_second"] = m.images_per_second;
  line["seconds"] = m.seconds;
  line["skipped_steps"] = m.skipped_steps;
  if (!m.score_correlation.empty()) line["score_correlation"] = m.score_correlation;
  return line;
}

std::string RunHistory::text_line(const EpochMetrics& m, std::int32_t epochs) const {
  std::string text = fmt::format(
      "epoch {:>3}/{}  train loss {:.4f} accuracy {:5.2f} %  test loss {:.4f} accuracy {:5.2f} %, top-5 "
      "{:5.2f} %",
      m.epoch + 1, epochs, m.train_loss, 100 * m.train_accuracy, m.test_loss, 100 * m.test_accuracy,
      100 * m.test_top5);
  if (m.val_accuracy) text += fmt::format("  held-out accuracy {:5.2f} %", 100 * *m.val_accuracy);
  text += fmt::format("  (best {:.2f} in epoch {})  {:.0f} images/s", 100 * best().chosen_by(),
                      best().epoch + 1, m.images_per_second);
  if (const std::int32_t left = epochs - m.epoch - 1; left > 0)
    text += fmt::format("  {} left", clock_text(left * m.seconds));
  const char* separator = "  rank correlation to the epoch before: ";
  for (const auto& [name, correlation] : m.score_correlation) {
    text += fmt::format("{}{} {:.4f}", separator, name, correlation);
    separator = ", ";
  }
  if (m.skipped_steps) text += fmt::format("  {} steps skipped for overflow", m.skipped_steps);
  return text;
}

Json RunHistory::result_json(const RunFingerprint& fingerprint) const {
  Json result{{"best_test_accuracy", best().test_accuracy},
              {"best_epoch", best().epoch},
              {"chosen_by", best().val_accuracy ? "held-out accuracy" : "test accuracy"},
              {"last_test_accuracy", epochs_.back().test_accuracy},
              {"last_test_loss", epochs_.back().test_loss},
              {"last_train_loss", epochs_.back().train_loss}};
  double seconds = 0;
  for (const EpochMetrics& metrics : epochs_) seconds += metrics.seconds;
  result["seconds"] = seconds;
  for (const auto& [option, value] : fingerprint)
    if (option != "plans") result["run"][option] = value;
  return result;
}

std::string RunHistory::summary() const {
  return fmt::format("done: best test accuracy {:.2f} % (epoch {}{}), last {:.2f} %",
                     100 * best().test_accuracy, best().epoch + 1,
                     best().val_accuracy ? ", chosen by held-out images" : "",
                     100 * epochs_.back().test_accuracy);
}

void RunHistory::draw(const std::filesystem::path& png, const std::string& title) const {
  std::vector<double> positions(epochs_.size());
  std::iota(positions.begin(), positions.end(), 1.0);
  const auto curve = [&](const char* name, auto&& value) {
    Curve result{name, {}};
    for (const EpochMetrics& metrics : epochs_) result.values.push_back(value(metrics));
    return result;
  };
  std::vector<Panel> panels{{"loss",
                             {curve("train", [](const EpochMetrics& m) { return m.train_loss; }),
                              curve("test", [](const EpochMetrics& m) { return m.test_loss; })}},
                            {"accuracy, %",
                             {curve("train", [](const EpochMetrics& m) { return 100 * m.train_accuracy; }),
                              curve("test", [](const EpochMetrics& m) { return 100 * m.test_accuracy; })}}};
  if (epochs_.back().val_accuracy) {
    panels[0].curves.push_back(
        curve("held out", [](const EpochMetrics& m) { return m.val_loss.value_or(NAN); }));
    panels[1].curves.push_back(
        curve("held out", [](const EpochMetrics& m) { return 100 * m.val_accuracy.value_or(NAN); }));
  }
  draw_curves(png, title, positions, panels);
}

}  // namespace tdds
