// read_dynamics, read_mask and write_mask.

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/dynamics_store.h"
#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "python/src/arrays.h"
#include "python/src/bindings.h"
#include "tdds/dynamics/dynamics_source.h"
#include "tdds/selection/selection.h"

namespace tdds::python {
namespace {

// A store whose fields are arrays in the mapped file. An array keeps its Dynamics alive.
class Dynamics {
 public:
  explicit Dynamics(const std::string& path) : source_(path), store_(source_.store_for("read_dynamics")) {}
  const DynamicsReader& store() const { return store_; }

 private:
  DynamicsSource source_;
  const DynamicsReader& store_;
};

template <class T, class Read>
nb::object by_epoch(nb::handle self, const DynamicsReader& store, Read read) {
  const T* first = store.epochs() > 0 ? read(0) : nullptr;
  const std::int64_t stride = store.epochs() > 1 ? read(1) - first : store.samples();
  return nb::ndarray<nb::numpy, const T>(
             first, {static_cast<std::size_t>(store.epochs()), static_cast<std::size_t>(store.samples())},
             self, {stride, 1})
      .cast(nb::rv_policy::reference);
}

nb::object field_of(nb::handle_t<Dynamics> self, const std::string& name) {
  const DynamicsReader& store = nb::cast<const Dynamics&>(self).store();
  const auto field = find_dynamics_field(name);
  if (!field || !store.has(*field)) {
    std::vector<std::string> names;
    for (const DynamicsField recorded : store.header().fields) names.emplace_back(to_string(recorded));
    throw nb::key_error(
        fmt::format("{} was not recorded; the fields are {}", name, fmt::join(names, ", ")).c_str());
  }
  if (*field == DynamicsField::kCorrect)
    return by_epoch<std::uint8_t>(self, store, [&](std::int32_t epoch) { return store.correct(epoch); });
  return by_epoch<float>(self, store, [&](std::int32_t epoch) { return store.values(*field, epoch); });
}

nb::object labels_of(nb::handle_t<Dynamics> self) {
  const std::vector<std::int32_t>& labels = nb::cast<const Dynamics&>(self).store().header().labels;
  if (labels.empty()) return nb::none();
  return to_numpy(labels).cast();
}

std::vector<std::string> field_names(const Dynamics& dynamics) {
  std::vector<std::string> names;
  for (const DynamicsField field : dynamics.store().header().fields) names.emplace_back(to_string(field));
  return names;
}

std::pair<nb::ndarray<nb::numpy, std::int64_t>, nb::ndarray<nb::numpy, float>> read_mask(
    const std::string& mask, const std::string& score) {
  Ranking ranking = read_ranking({mask, score});
  return {to_numpy(std::move(ranking.ids)), to_numpy(std::move(ranking.scores))};
}

std::pair<std::string, std::string> write_mask(const std::string& folder, const std::string& stem,
                                               nb::handle scores) {
  const std::vector<float> values = floats(array_of(scores, "scores"), 1, "scores", true);
  for (std::size_t i = 0; i < values.size(); ++i)
    check_usage(std::isfinite(values[i]), "the score of sample {} is not finite", i);
  make_folder(folder);
  const RankingFiles files = ranking_files(folder, stem);
  write_ranking(files, rank_by_score(values));
  return {files.mask, files.score};
}

}  // namespace

void bind_files(nb::module_& m) {
  nb::class_<Dynamics>(m, "Dynamics")
      .def(nb::init<const std::string&>(), nb::arg("path"))
      .def_prop_ro("path", [](const Dynamics& self) { return self.store().path(); })
      .def_prop_ro("samples", [](const Dynamics& self) { return self.store().samples(); })
      .def_prop_ro("classes", [](const Dynamics& self) { return self.store().header().classes; })
      .def_prop_ro("epochs", [](const Dynamics& self) { return self.store().epochs(); })
      .def_prop_ro("dataset", [](const Dynamics& self) { return self.store().header().dataset; })
      .def_prop_ro("fingerprint", [](const Dynamics& self) { return self.store().header().fingerprint; })
      .def_prop_ro("seed", [](const Dynamics& self) { return self.store().header().seed; })
      .def_prop_ro("labels", labels_of)
      .def("keys", field_names)
      .def("field", field_of, nb::arg("name"));
  m.def("read_mask", read_mask, nb::arg("mask"), nb::arg("score"));
  m.def("write_mask", write_mask, nb::arg("folder"), nb::arg("stem"), nb::arg("scores"));
}

}  // namespace tdds::python
