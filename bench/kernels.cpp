// bench_kernels: times single ops (*_bench.cpp).

#include <benchmark/benchmark.h>

#include "kernels/runtime/thread_waiting.h"

int main(int argc, char** argv) {
  tdds::wait_briefly_then_sleep(argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
