#include "bench/reporters.h"

#include <string>

#include "apps/cli/output.h"

namespace tdds {
namespace {

// A counter with a number of decimals, or nothing where the row does not have it.
std::string counter(const benchmark::BenchmarkReporter::Run& run, const char* name, int decimals,
                    double scale = 1) {
  const auto found = run.counters.find(name);
  return found == run.counters.end() ? "" : fmt::format("{:.{}f}", scale * found->second.value, decimals);
}

}  // namespace

bool RowTable::ReportContext(const Context&) {
  print_out("{:<54} {:>10} {:>10} {:>6} {:>9} {:>8} {:>9} {:>6} {:>5}\n",
            "op/layer/device/precision/operands", "median us", "least us", "noise%", "MB", "GB/s", "GFLOP/s",
            "floor%", "calls");
  return true;
}

void RowTable::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (!run.counters.contains("min_us")) continue;  // it failed, and its error was printed
    print_out("{:<54} {:>10.2f} {:>10} {:>6} {:>9} {:>8} {:>9} {:>6} {:>5}\n", run.run_name.function_name,
              run.GetAdjustedRealTime(), counter(run, "min_us", 2), counter(run, "noise", 1),
              counter(run, "MB", 3), counter(run, "GB/s", 2), counter(run, "GFLOP/s", 1),
              counter(run, "floor", 0, 100), counter(run, "calls", 0));
  }
  flush_output();
}

void PlainNames::ReportRuns(const std::vector<Run>& runs) {
  std::vector<Run> plain = runs;
  for (Run& run : plain) run.run_name.iterations = run.run_name.time_type = "";
  JSONReporter::ReportRuns(plain);
}

}  // namespace tdds
