#pragma once
// How bench_kernels reports its rows: a table, and Google Benchmark's JSON with plain names.

#include <benchmark/benchmark.h>

#include <vector>

namespace tdds {

class RowTable final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override;
  void ReportRuns(const std::vector<Run>& runs) override;
};

// Without the "/iterations:1/manual_time" of every row.
class PlainNames final : public benchmark::JSONReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override;
};

}  // namespace tdds
