#pragma once
// The report as one HTML page that needs nothing else: its style, scripts, numbers and images are inside it.

#include <string>

#include "apps/report/report_input.h"

namespace tdds::report {

std::string report_page(const ReportInput& input, const ReportOptions& options);

}  // namespace tdds::report
