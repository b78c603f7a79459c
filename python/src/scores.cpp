// methods, score and select: the table of methods and the selections of tdds-score. official_files: the
// epochs of a folder, which python/tdds/_scores.py records for the methods that need more than kl.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/score/sample_ids.h"
#include "apps/score/score_run.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"
#include "python/src/arrays.h"
#include "python/src/bindings.h"
#include "tdds/dynamics/dynamics_source.h"
#include "tdds/methods/method.h"
#include "tdds/methods/tdds_score.h"

namespace tdds::python {
namespace {

nb::list methods() {
  nb::list rows;
  for (const Method* method : all_methods()) {
    nb::list needs;
    for (const DynamicsField field : method->needs) needs.append(to_string(field));
    rows.append(nb::make_tuple(method->name, method->score, method->kept, method->source, nb::tuple(needs)));
  }
  return rows;
}

// A store recorded without labels lacks the fields that are computed from them.
void check_fields(const Method& method, const DynamicsSource& source) {
  if (!source.store()) return;
  for (const DynamicsField field : method.needs)
    check(source.store()->has(field) || !source.store()->header().labels.empty(),
          "{} needs '{}', which {} does not hold, because it was recorded without labels: give `labels` to "
          "the Recorder",
          method.name, to_string(field), source.path());
}

// Labels say nothing that a store does not hold, so a difference means that the store is of other data.
void check_labels(nb::handle labels, const DynamicsSource& source) {
  if (labels.is_none()) return;
  const std::vector<std::int64_t> given = integers(labels, "labels");
  const DynamicsReader& store = source.store_for("`labels`");
  const std::vector<std::int32_t>& recorded = store.header().labels;
  check(!recorded.empty(),
        "{} was recorded without labels, so `labels` cannot be used: give them to the Recorder",
        source.path());
  check_usage(std::equal(recorded.begin(), recorded.end(), given.begin(), given.end()),
              "`labels` differ from those in {}; give the labels that were trained on, or none",
              source.path());
}

MissingVisits missing_rule(const std::string& missing, std::int64_t samples) {
  check_usage(missing == "refuse" || missing == "carry", "`missing` is '{}'; give 'refuse' or 'carry'",
              missing);
  check_usage(samples >= 0, "`samples` is {}; give the number of samples, or 0 to take it from the files",
              samples);
  return {missing == "carry", samples, "give missing=\"carry\""};
}

// (the folder that was found, [(output, index)] by epoch), or None if `path` leads to a store.
std::optional<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> official_files(
    const std::string& path) {
  const DynamicsSource source(path);
  if (source.store()) return std::nullopt;
  std::vector<std::pair<std::string, std::string>> epochs;
  for (const OfficialEpoch& epoch : find_official_files(source.path()).epochs)
    epochs.emplace_back(epoch.output, epoch.index);
  return std::pair{source.path(), std::move(epochs)};
}

std::uint64_t seed_of(const DynamicsSource* source, std::optional<std::uint64_t> seed) {
  return seed.value_or(source && source->store() ? source->store()->header().seed : MethodOptions{}.seed);
}

nb::ndarray<nb::numpy, float> score(const std::string& path, const std::string& name, int trajectory_len,
                                    int window_size, double decay, nb::handle labels, int epochs,
                                    std::optional<std::uint64_t> seed, const std::string& missing,
                                    std::int64_t samples) {
  const Method& method = find_method(name);
  const MissingVisits rule = missing_rule(missing, samples);
  std::vector<float> values;
  {
    const DynamicsSource source(path, rule);
    check_labels(labels, source);
    check_fields(method, source);
    const MethodOptions options{.epochs = has_trajectory(method) ? trajectory_len : epochs,
                                .window_size = window_size,
                                .seed = seed_of(&source, seed),
                                .decay = decay};
    if (has_trajectory(method))
      check_setting({trajectory_len, window_size}, decay, source.epochs(), source.path());
    else
      check_method_options(options);
    const nb::gil_scoped_release release;
    const auto device = make_device(DeviceKind::kCpu);
    values = method.compute(method, source, std::array{options}, *device).front().score;
  }
  return to_numpy(std::move(values));
}

nb::ndarray<nb::numpy, std::int64_t> select_ids(nb::handle scores, double prune, const std::string& how,
                                                const std::optional<std::string>& path,
                                                std::optional<std::uint64_t> seed, double ccs_beta,
                                                int ccs_strata, double beta_c) {
  const std::vector<std::string>& names = selection_names();
  check_usage(std::find(names.begin(), names.end(), how) != names.end(),
              "there is no selection '{}'; choose from {}", how, fmt::join(names, ", "));
  ScoredMethod scored;
  scored.score = floats(array_of(scores, "scores"), 1, "scores", true);
  const auto samples = static_cast<std::int64_t>(scored.score.size());
  std::optional<DynamicsSource> source;
  if (path) source.emplace(*path);
  check_usage(how == "top" || how == "bottom" || source,
              "the selection '{}' needs the recording that the scores were computed from: give `source`",
              how);
  const DynamicsReader* store = source ? source->store() : nullptr;
  check_usage(!store || store->samples() == samples, "there are {} scores, but {} has {} samples", samples,
              source ? source->path() : "", store ? store->samples() : 0);
  ScoreOptions options;
  options.subset_rate = prune;
  options.selection = how;
  options.method.seed = seed_of(source ? &*source : nullptr, seed);
  options.ccs.beta = ccs_beta;
  options.ccs.strata = ccs_strata;
  options.beta_c = beta_c;
  const std::vector<std::int64_t> rows = select(scored, options, source ? &*source : nullptr).ids;
  return to_numpy(source ? SampleIds(source->path(), samples).of(rows) : rows);
}

}  // namespace

void bind_scores(nb::module_& m) {
  m.def("methods", methods);
  m.def("official_files", official_files, nb::arg("source"));
  m.def("score", score, nb::arg("source"), nb::arg("method"), nb::arg("T"), nb::arg("J"), nb::arg("decay"),
        nb::arg("labels").none(), nb::arg("epochs"), nb::arg("seed").none(), nb::arg("missing"),
        nb::arg("samples"));
  m.def("select", select_ids, nb::arg("scores"), nb::arg("prune"), nb::arg("how"), nb::arg("source").none(),
        nb::arg("seed").none(), nb::arg("ccs_beta"), nb::arg("ccs_strata"), nb::arg("beta_c"));
}

}  // namespace tdds::python
