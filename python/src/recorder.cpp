// The Recorder's compiled part.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernels/runtime/check.h"
#include "python/src/arrays.h"
#include "python/src/bindings.h"
#include "python/src/recording.h"

namespace tdds::python {
namespace {

Labels labels_of(nb::handle labels) {
  if (labels.is_none()) return std::nullopt;
  return integers(labels, "labels");
}

// A Recording that can be closed. Calls wait for each other, because they do not hold Python's lock.
class Recorder {
 public:
  Recorder(const std::string& path, std::int64_t samples, std::int32_t classes, nb::handle labels,
           std::string fingerprint, bool resumable)
      : recording_(std::make_unique<Recording>(path, samples, classes, labels_of(labels),
                                               std::move(fingerprint), resumable)) {}

  void update(nb::handle ids, nb::handle logits, nb::handle labels, std::optional<std::int64_t> epoch) {
    const std::vector<std::int64_t> rows = integers(ids, "ids");
    const Array array = array_of(logits, "logits");
    const std::vector<float> values = floats(array, 2, "logits");
    const Labels given = labels_of(labels);
    const auto columns = static_cast<std::int64_t>(array.shape(1));
    const nb::gil_scoped_release release;
    const std::lock_guard guard(mutex_);
    Recording& recording = open();
    check_usage(columns == recording.classes(), "`logits` has {} classes, but the recording has {}", columns,
                recording.classes());
    recording.update(rows, values, given, epoch);
  }

  std::int64_t end_epoch(std::optional<std::int64_t> epoch) {
    const nb::gil_scoped_release release;
    const std::lock_guard guard(mutex_);
    return open().end_epoch(epoch);
  }

  // Returns how many visits are dropped with the unfinished epoch.
  std::int64_t close() {
    const nb::gil_scoped_release release;
    const std::lock_guard guard(mutex_);
    const std::int64_t dropped = recording_ ? recording_->visited() : 0;
    recording_.reset();
    return dropped;
  }

  std::int32_t epoch() {
    const nb::gil_scoped_release release;
    const std::lock_guard guard(mutex_);
    return open().epoch();
  }

 private:
  Recording& open() {
    check_usage(recording_ != nullptr, "the Recorder is closed");
    return *recording_;
  }

  std::mutex mutex_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace

void bind_recorder(nb::module_& m) {
  nb::class_<Recorder>(m, "Recorder")
      .def(nb::init<const std::string&, std::int64_t, std::int32_t, nb::handle, std::string, bool>(),
           nb::arg("path"), nb::arg("samples"), nb::arg("classes"), nb::arg("labels").none(),
           nb::arg("fingerprint"), nb::arg("resumable"))
      .def("update", &Recorder::update, nb::arg("ids"), nb::arg("logits"), nb::arg("labels").none(),
           nb::arg("epoch").none())
      .def("end_epoch", &Recorder::end_epoch, nb::arg("epoch").none())
      .def("close", &Recorder::close)
      .def_prop_ro("epoch", &Recorder::epoch);
}

}  // namespace tdds::python
