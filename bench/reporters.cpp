#include "bench/reporters.h"

#include <algorithm>
#include <cmath>

#include "apps/cli/output.h"
#include "bench/sampling.h"

namespace tdds {
namespace {

// A counter with a number of decimals, or nothing where the row does not have it.
std::string counter(const benchmark::BenchmarkReporter::Run& run, const char* name, int decimals,
                    double scale = 1) {
  const auto found = run.counters.find(name);
  return found == run.counters.end() ? "" : fmt::format("{:.{}f}", scale * found->second.value, decimals);
}

void keep(std::vector<double>& ratios, const benchmark::BenchmarkReporter::Run& run, const char* name) {
  if (const auto found = run.counters.find(name); found != run.counters.end())
    ratios.push_back(found->second.value);
}

double geometric_mean(const std::vector<double>& values) {
  double logarithms = 0;
  for (const double value : values) logarithms += std::log(value);
  return std::exp(logarithms / static_cast<double>(values.size()));
}

}  // namespace

void add_counters(benchmark::State& state, const TorchPeer& torch) {
  const Timing timing = timing_of(torch.seconds);
  state.counters["torch_us"] = 1e6 * timing.median;
  state.counters["torch_min_us"] = 1e6 * timing.least;
  state.counters["torch_noise"] = 100 * timing.noise;
  state.counters["torch_samples"] = timing.samples;
  state.counters["torch_ratio"] = timing_of(torch.ratios).median;
}

std::string add_counters(benchmark::State& state, const std::vector<TimedConvPlan>& engines) {
  std::vector<TimedConvPlan> ran;
  std::copy_if(engines.begin(), engines.end(), std::back_inserter(ran),
               [](const TimedConvPlan& plan) { return plan.seconds > 0; });
  const auto fastest = std::min_element(ran.begin(), ran.end(),
                                        [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  const auto chosen = std::find_if(ran.begin(), ran.end(), [](const auto& plan) { return plan.chosen; });
  if (chosen == ran.end()) return "the chosen plan did not run";
  state.counters["engines"] = static_cast<double>(engines.size());
  state.counters["engines_ran"] = static_cast<double>(ran.size());
  state.counters["engine_us"] = 1e6 * chosen->seconds;
  if (engines[0].seconds > 0) state.counters["engine_first_us"] = 1e6 * engines[0].seconds;
  state.counters["engine_min_us"] = 1e6 * fastest->seconds;
  state.counters["engine_ratio"] = chosen->seconds / fastest->seconds;
  return fmt::format("chosen {}; fastest {}", chosen->plan, fastest->plan);
}

bool RowTable::ReportContext(const Context&) {
  print_out("{:<54} {:>10} {:>10} {:>6} {:>9} {:>8} {:>9} {:>6} {:>5}{}{}\n",
            "op/layer/device/precision/operands", "median us", "least us", "noise%", "MB", "GB/s", "GFLOP/s",
            "floor%", "calls", torch_ ? "  torch" : "", engines_ ? " engine" : "");
  return true;
}

void RowTable::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (!run.counters.contains("min_us")) continue;  // it failed, and its error was printed
    print_out("{:<54} {:>10.2f} {:>10} {:>6} {:>9} {:>8} {:>9} {:>6} {:>5}", run.run_name.function_name,
              run.GetAdjustedRealTime(), counter(run, "min_us", 2), counter(run, "noise", 1),
              counter(run, "MB", 3), counter(run, "GB/s", 2), counter(run, "GFLOP/s", 1),
              counter(run, "floor", 0, 100), counter(run, "calls", 0));
    if (torch_) print_out(" {:>6}", counter(run, "torch_ratio", 2));
    if (engines_) print_out(" {:>6}", counter(run, "engine_ratio", 2));
    print_out("\n");
    keep(torch_ratios_, run, "torch_ratio");
    keep(engine_ratios_, run, "engine_ratio");
  }
  flush_output();
}

void RowTable::Finalize() {
  if (!torch_ratios_.empty())
    print_out(
        "PyTorch takes {:.2f} times as long: the geometric mean of {} rows, in {} of which it is faster\n",
        geometric_mean(torch_ratios_), torch_ratios_.size(),
        std::count_if(torch_ratios_.begin(), torch_ratios_.end(), [](double ratio) { return ratio < 1; }));
  if (!engine_ratios_.empty())
    print_out(
        "The chosen plan takes {:.2f} times as long as cuDNN's fastest one: the geometric mean of {} rows\n",
        geometric_mean(engine_ratios_), engine_ratios_.size());
  flush_output();
}

void PlainNames::ReportRuns(const std::vector<Run>& runs) {
  std::vector<Run> plain = runs;
  for (Run& run : plain) run.run_name.iterations = run.run_name.time_type = "";
  JSONReporter::ReportRuns(plain);
}

}  // namespace tdds
