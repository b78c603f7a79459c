#pragma once
// How bench_kernels reports its rows: a table, and Google Benchmark's JSON with plain names. Peers of a row
// are counters of it.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/ops/conv2d.h"

namespace tdds {

// PyTorch's op: the seconds of its runs so far, and in each round the ratio of its median to the row's.
struct TorchPeer {
  std::vector<double> seconds = {}, ratios = {};
  bool failed = false;
};
// torch_us, torch_min_us, torch_noise and torch_samples as those of the row; torch_ratio is above 1 where
// PyTorch takes longer.
void add_counters(benchmark::State& state, const TorchPeer& torch);

// engines and engines_ran count the plans; engine_us, engine_first_us and engine_min_us are the times of the
// chosen one, of the first that cuDNN proposes, and of the fastest; engine_ratio is the first over the last.
// Returns which plans these are. Adds nothing if the chosen one did not run.
std::string add_counters(benchmark::State& state, const std::vector<TimedConvPlan>& engines);

class RowTable final : public benchmark::BenchmarkReporter {
 public:
  // With a column for the ratio to each kind of peer, and a sentence about all of them at the end.
  RowTable(bool torch, bool engines) : torch_(torch), engines_(engines) {}
  bool ReportContext(const Context&) override;
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

 private:
  bool torch_, engines_;
  std::vector<double> torch_ratios_, engine_ratios_;
};

// Without the "/iterations:1/manual_time" of every row.
class PlainNames final : public benchmark::JSONReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override;
};

}  // namespace tdds
