#pragma once
// The report as one self-contained HTML page: it includes its style, scripts, numbers and images.

#include <string>

#include "apps/report/report_input.h"

namespace tdds::report {

std::string report_page(const ReportInput& input, const ReportOptions& options);

}  // namespace tdds::report
