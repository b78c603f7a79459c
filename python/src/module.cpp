// The Python module tdds._tdds. The functions that users call are in python/tdds/, with their documentation.

#include "python/src/bindings.h"

#include <nanobind/nanobind.h>

#include "kernels/runtime/check.h"

namespace nb = nanobind;

NB_MODULE(_tdds, m) {
  m.doc() = "The compiled part of tdds.";
  const nb::exception<tdds::Error> error(m, "Error", PyExc_RuntimeError);
  // The last one registered is tried first.
  const nb::exception<tdds::UsageError> usage_error(m, "UsageError",
                                                    nb::make_tuple(error, nb::handle(PyExc_ValueError)));
  error.attr("__doc__") = "Bad data, a missing file, a full disk: one sentence that says how to fix it.";
  usage_error.attr("__doc__") = "An argument that cannot be used: one sentence that says how to fix it.";
  tdds::python::bind_scores(m);
  tdds::python::bind_files(m);
  tdds::python::bind_recorder(m);
}
