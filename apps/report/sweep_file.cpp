#include "apps/report/sweep_file.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "kernels/check.h"

namespace tdds::report {
namespace {

using Json = nlohmann::json;

double accuracy_of(const Json& run, const char* key, const std::string& path) {
  const double percent = run.at(key);
  check(percent >= 0 && percent <= 100, "{}: {} is {}, and an accuracy is a percentage", path, key, percent);
  return percent;
}

struct Values {
  std::vector<double> first, second;
};

void read_scoring_runs(const Json& json, Sweep& sweep) {
  Values full;
  for (const Json& run : json.at("scoring_runs")) {
    full.first.push_back(accuracy_of(run, "best_accuracy", sweep.path));
    full.second.push_back(accuracy_of(run, "last_accuracy", sweep.path));
    if (sweep.first_scoring_run.empty())
      sweep.first_scoring_run =
          (std::filesystem::path(sweep.path).parent_path() / run.at("folder").get<std::string>()).string();
  }
  sweep.full_best = repetitions(full.first);
  sweep.full_last = repetitions(full.second);
}

void read_runs(const Json& json, Sweep& sweep) {
  std::map<std::string, std::map<double, Values>> values;
  for (const Json& run : json.at("runs")) {
    const std::string method = run.at("method");
    const double rate = run.at("rate");
    check(rate > 0 && rate < 1, "{}: a run of {} has the pruning rate {}, which is not between 0 and 1",
          sweep.path, method, rate);
    if (!values.contains(method)) sweep.methods.push_back(method);
    Values& at = values[method][rate];
    at.first.push_back(accuracy_of(run, "best_accuracy", sweep.path));
    at.second.push_back(accuracy_of(run, "last_accuracy", sweep.path));
  }
  check(!sweep.methods.empty(), "{} holds no finished run yet; let tdds-sweep go on first", sweep.path);
  for (const auto& [method, rates] : values)
    for (const auto& [rate, at] : rates)
      sweep.results[method].push_back({rate, repetitions(at.first), repetitions(at.second)});
}

std::vector<PlantedFound> read_planted(const Json& json, const char* key) {
  std::vector<PlantedFound> all;
  if (!json.contains(key)) return all;
  std::vector<std::pair<std::string, std::string>> order;
  std::map<std::pair<std::string, std::string>, Values> values;
  for (const Json& found : json.at(key)) {
    const std::pair<std::string, std::string> of{found.at("method"), found.at("end")};
    if (!values.contains(of)) order.push_back(of);
    values[of].first.push_back(found.at("precision"));
    values[of].second.push_back(found.at("recall"));
  }
  for (const auto& of : order)
    all.push_back({of.first, of.second, repetitions(values[of].first), repetitions(values[of].second)});
  return all;
}

// The numbers of a list such as "90,70"; none where the setting is absent or anything else.
template <class T>
std::vector<T> numbers(const Json& settings, const char* name) {
  const std::string text = settings.value(name, "");
  std::vector<T> values;
  for (const char *at = text.data(), *end = at + text.size(); at < end; ++at) {
    T value{};
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (next != end && *next != ',')) return {};
    values.push_back(value);
    at = next;
  }
  return values;
}

template <class T>
std::optional<T> number(const Json& settings, const char* name) {
  const std::vector<T> values = numbers<T>(settings, name);
  return values.size() == 1 ? std::optional<T>(values[0]) : std::nullopt;
}

void read_settings(const Json& settings, Sweep& sweep) {
  sweep.data_seed = number<std::uint64_t>(settings, "manualSeed");
  sweep.scores = {.methods = {},
                  .trajectory_lens = numbers<int>(settings, "trajectory_len"),
                  .window_sizes = numbers<int>(settings, "window_size"),
                  .decay = number<double>(settings, "score_decay"),
                  .method_window = number<std::int32_t>(settings, "method_window").value_or(0),
                  .method_epochs = number<std::int32_t>(settings, "method_epochs").value_or(0)};
}

}  // namespace

Sweep read_sweep(const std::string& path) {
  constexpr std::uint64_t kMostBytes = 256u << 20;
  const std::string text = read_file(path, kMostBytes);
  Sweep sweep;
  sweep.path = path;
  try {
    const Json json = Json::parse(text);
    const std::string format = json.at("format");
    check(format == "tdds-sweep-1", "{} has the format '{}', and this program reads tdds-sweep-1", path,
          format);
    sweep.dataset = json.at("dataset");
    sweep.arch = json.at("arch");
    sweep.budget = json.at("budget");
    sweep.width = json.at("width");
    sweep.samples = json.at("samples");
    sweep.epochs = json.at("epochs");
    read_settings(json.value("settings", Json::object()), sweep);
    read_scoring_runs(json, sweep);
    read_runs(json, sweep);
    sweep.wrong_labels = read_planted(json, "wrong_labels");
    sweep.corrupted = read_planted(json, "corrupted");
    sweep.near_duplicates = read_planted(json, "near_duplicates");
  } catch (const Json::exception& reason) {
    // "[json.exception.out_of_range.403] key 'runs' not found": the part behind the bracket is for people.
    const std::string what = reason.what();
    throw Error(
        fmt::format("{} is not a file that tdds-sweep wrote: {}", path, what.substr(what.find("] ") + 2)));
  }
  return sweep;
}

}  // namespace tdds::report
