#pragma once
// The parts of the module, one source each.

#include <nanobind/nanobind.h>

namespace tdds::python {

void bind_scores(nanobind::module_& m);
void bind_files(nanobind::module_& m);
void bind_recorder(nanobind::module_& m);

}  // namespace tdds::python
