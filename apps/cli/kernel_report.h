#pragma once
// The table of --kernel_report: what each kernel of a run on simt did (kernels/runtime/kernel_counters.h),
// with its registers and occupancy where ptxas' reports are there. docs/measuring.md says how to read it.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "kernels/planning/ptxas_report.h"
#include "kernels/runtime/kernel_counters.h"

namespace tdds {

// The architecture whose registers the report shows, and what ptxas says about the kernels on it.
struct ReportTarget {
  int sm = 0;
  std::vector<KernelResources> kernels = {};
  std::string why_absent = {};  // a sentence, where there are none
};
// `name` is "sm_90" or the like; "" is sm_90. The reports are those of the build folder that this program is
// in. Throws UsageError for another name.
ReportTarget report_target(const std::string& name);

// What ptxas says about the kernel of a row; null if that is not known.
const KernelResources* resources_of(const KernelCounters& row, const ReportTarget& target);
// The share of a multiprocessor's threads that the kernel's blocks occupy.
double occupancy(const KernelCounters& row, const KernelResources& kernel);

std::string kernel_table(const KernelCounts& counts, const ReportTarget& target);
nlohmann::ordered_json to_json(const KernelCounts& counts, const ReportTarget& target);

}  // namespace tdds
