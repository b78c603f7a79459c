#include "tdds/methods/moderate.h"

#include <algorithm>
#include <cmath>

#include "engine/io/safetensors.h"
#include "kernels/runtime/check.h"
#include "tdds/methods/method.h"
#include "tdds/statistics/score_order.h"

namespace tdds {
namespace {

// Reorders the values. For an even number, the mean of the middle two, as in numpy.median.
double median(std::vector<float>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (static_cast<double>(*std::max_element(values.begin(), middle)) + *middle);
}

std::vector<float> distances(const Features& features, std::span<const std::int32_t> labels,
                             std::int32_t classes) {
  std::vector<std::vector<std::size_t>> members(static_cast<std::size_t>(classes));
  for (std::size_t id = 0; id < labels.size(); ++id) {
    check(labels[id] >= 0 && labels[id] < classes, "sample {} has label {}; the classes are 0 to {}", id,
          labels[id], classes - 1);
    members[static_cast<std::size_t>(labels[id])].push_back(id);
  }
  const auto width = static_cast<std::size_t>(features.width);
  std::vector<double> squares(labels.size());
  std::vector<float> column;
  for (const auto& ids : members) {
    for (std::size_t f = 0; f < width && !ids.empty(); ++f) {
      column.clear();
      for (const std::size_t id : ids) column.push_back(features.values[id * width + f]);
      const double centre = median(column);
      for (const std::size_t id : ids) {
        const double off = features.values[id * width + f] - centre;
        squares[id] += off * off;
      }
    }
  }
  std::vector<float> distance;
  distance.reserve(squares.size());
  for (const double square : squares) distance.push_back(static_cast<float>(std::sqrt(square)));
  return distance;
}

}  // namespace

std::filesystem::path features_beside(const std::filesystem::path& store) {
  return store.parent_path() / "features.safetensors";
}

void write_features(const std::filesystem::path& path, const DynamicsHeader& run, const Features& features) {
  const NamedTensor tensor{
      "features", DType::kF32, {features.samples, features.width}, features.values.data()};
  write_safetensors(path, {&tensor, 1},
                    {{"dataset", run.dataset},
                     {"fingerprint", run.fingerprint},
                     {"seed", std::to_string(run.seed)},
                     {"epochs", std::to_string(features.epochs)}});
}

Features read_features(const std::filesystem::path& path, const DynamicsHeader& run, std::int32_t epochs) {
  check(std::filesystem::exists(path),
        "moderate needs {}, which tdds-train writes with `dynamics_features` at the end of a run",
        path.string());
  const SafetensorsFile file(path);
  const auto about = [&](const char* key) -> std::string {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? "" : found->second;
  };
  check(about("fingerprint") == run.fingerprint && about("dataset") == run.dataset,
        "{} is of another data set than the dynamics beside it; give both from one run", path.string());
  check(about("seed") == std::to_string(run.seed),
        "{} is of a run with seed {}, but the dynamics beside it of one with seed {}; give both from one run",
        path.string(), about("seed"), run.seed);
  check(about("epochs") == std::to_string(epochs),
        "{} is of a net after {} epochs, but the dynamics beside it are of {}; give both from one run, which "
        "writes the features when it ends",
        path.string(), about("epochs"), epochs);
  const StoredTensor& tensor = file.at("features");
  check(tensor.dtype == DType::kF32 && tensor.shape.size() == 2 && tensor.shape[0] == run.samples,
        "{} holds no float32 features of {} samples", path.string(), run.samples);
  Features features{std::vector<float>(tensor.bytes / sizeof(float)), tensor.shape[0], tensor.shape[1],
                    epochs};
  file.read(tensor, features.values.data());
  return features;
}

std::vector<float> moderate_scores(const Features& features, std::span<const std::int32_t> labels,
                                   std::int32_t classes) {
  check(static_cast<std::int64_t>(labels.size()) == features.samples, "there are {} labels for {} samples",
        labels.size(), features.samples);
  const auto bad = std::find_if_not(features.values.begin(), features.values.end(),
                                    [](float value) { return std::isfinite(value); });
  check(bad == features.values.end(), "a feature of sample {} is not finite: training had failed there",
        features.width > 0 ? (bad - features.values.begin()) / features.width : 0);
  const std::vector<std::int64_t> order = order_by_score(distances(features, labels, classes));
  std::vector<float> score(order.size());
  const double middle = 0.5 * static_cast<double>(order.size() - 1);
  for (std::size_t rank = 0; rank < order.size(); ++rank)
    score[static_cast<std::size_t>(order[rank])] =
        static_cast<float>(-std::abs(static_cast<double>(rank) - middle));
  return score;
}

namespace methods {
namespace {

std::vector<MethodScore> compute(const Method& method, const DynamicsSource& source,
                                 std::span<const MethodOptions>, Device&) {
  const DynamicsReader& dynamics = source.store_for(method.name);
  const DynamicsHeader& run = dynamics.header();
  check(!run.labels.empty(), "{} holds no labels, but {} measures distances within classes", source.path(),
        method.name);
  const Features features = read_features(features_beside(source.path()), run, dynamics.epochs());
  return {{{.epochs = features.epochs}, moderate_scores(features, run.labels, run.classes)}};
}

}  // namespace

const Method kModerate{
    .name = "moderate",
    .score =
        "minus the distance, in ranks, from the middle of all samples ordered by || h - c_y ||_2, "
        "h the features of the finished net, c_y the median of the class; recorded with "
        "`dynamics_features`",
    .kept = "the band around the middle",
    .source = "Xia et al. 2023 (Moderate-DS), their code",
    .horizon = Horizon::kFinishedNet,
    .can_be_negative = true,
    .compute = compute};

}  // namespace methods
}  // namespace tdds
