// bench_kernels: times every op on every device and in every precision, with the operands in the caches (hot)
// and in memory (cold). docs/measuring.md says how to read a row.

#include <benchmark/benchmark.h>

#include <iostream>
#include <regex>

#include "apps/cli/cli.h"
#include "apps/cli/output.h"
#include "bench/op_list.h"
#include "bench/peaks.h"
#include "bench/reporters.h"
#include "bench/sampling.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/thread_waiting.h"
#include "nets/resnet.h"

namespace {

using namespace tdds;

struct Flags {
  BenchNet net;
  std::vector<DeviceKind> devices;
  std::vector<PrecisionKind> precisions;
  std::string filter, out;
  double noise = 2, seconds = 0.3;
  int threads = 0;
  bool list = false, hot_only = false, cold_only = false;
};

FlagTable flag_table(Flags& f) {
  return {
      {"net", word_choice(f.net.arch, resnet_names()), "Measure the ops of a training step of this network"},
      {"batch_size", &f.net.batch, "Images in the step"},
      {"image", &f.net.image, "Height and width of the images; above 64 with ImageNet's stem"},
      {"width", &f.net.width, "Channel multiplier"},
      {"classes", &f.net.classes, "Classes"},
      {"device", choices(f.devices, kDeviceKinds), "Devices; default: cpu, and cuda where there is a GPU"},
      {"precision", choices(f.precisions, kPrecisions), "Precisions; default: fp32 on a CPU, all on a GPU"},
      {"conv_algo", choice(f.net.conv_algo, kConvAlgos), "Convolutions on a CPU"},
      {"filter", &f.filter, "Measure only the rows that match this regular expression"},
      {"list", &f.list, "Print the names of the rows, and measure nothing"},
      {"hot", &f.hot_only, "Measure only with the operands in the caches"},
      {"cold", &f.cold_only, "Measure only with the operands in memory"},
      {"noise", &f.noise, "Stop a row when its median is known to this many percent"},
      {"seconds", &f.seconds, "Or when it took this long, after at least 5 runs"},
      {"threads", &f.threads, "CPU threads; 0: one per core"},
      {"out", &f.out, "Write the result as Google Benchmark's JSON here"}};
}

// One device with one precision. Made when its first row runs, so that --list and --filter are fast.
struct Bed {
  std::shared_ptr<Device> device;
  PrecisionKind precision;
  OpList ops;
  std::unique_ptr<Stream> stream = device->make_stream();
  CacheFlush flush{*device};
  Peaks peaks{*device, *stream};

  Bed(std::shared_ptr<Device> on, const BenchNet& net, PrecisionKind in)
      : device(std::move(on)), precision(in), ops(*device, net, in) {}
};

void measure(benchmark::State& state, Bed& bed, const BenchOp& op, bool cold, const SamplingLimits& limits) {
  const auto undo = [&] { bed.ops.undo(op, *bed.stream); };
  std::function<void()> prepare;
  if (cold)
    prepare = [&] {
      undo();
      bed.flush.enqueue(*bed.stream);
    };
  else if (bed.ops.needs_undo(op))
    prepare = undo;
  const Timing timing = sample(
      *bed.stream, prepare, [&] { op.op.run(*bed.stream); }, limits);
  undo();
  bed.stream->synchronize();
  for (auto _ : state) state.SetIterationTime(timing.median);
  const OpWork& work = op.op.work;
  const double flops = work.conv_flops + work.fp32_flops;
  state.counters["min_us"] = 1e6 * timing.least;
  state.counters["noise"] = 100 * timing.noise;
  state.counters["samples"] = timing.samples;
  state.counters["calls"] = op.calls;
  state.counters["commands"] =
      static_cast<double>(bed.stream->record([&] { op.op.run(*bed.stream); })->commands());
  state.counters["MB"] = 1e-6 * work.bytes;
  state.counters["GB/s"] = 1e-9 * work.bytes / timing.median;
  if (flops > 0) {
    state.counters["GFLOP"] = 1e-9 * flops;
    state.counters["GFLOP/s"] = 1e-9 * flops / timing.median;
  }
  if (const double floor = bed.peaks.floor(work, bed.precision, cold); floor > 0)
    state.counters["floor"] = floor / timing.median;
}

std::vector<PrecisionKind> precisions_of(const Flags& flags, DeviceKind kind) {
  if (!flags.precisions.empty()) return flags.precisions;
  if (kind == DeviceKind::kCuda) return {kPrecisions.begin(), kPrecisions.end()};
  return {PrecisionKind::kFp32};
}

std::vector<DeviceKind> devices_of(const Flags& flags) {
  if (!flags.devices.empty()) return flags.devices;
  if (best_device() == DeviceKind::kCuda) return {DeviceKind::kCpu, DeviceKind::kCuda};
  return {DeviceKind::kCpu};
}

// One row. An op that cannot be run is reported, and counted in `failures`.
void register_row(const std::string& name, Bed& bed, const BenchOp& op, bool cold,
                  const SamplingLimits& limits, int& failures) {
  const auto body = [=, &bed, &op, &failures](benchmark::State& state) {
    try {
      measure(state, bed, op, cold, limits);
    } catch (const std::exception& error) {
      ++failures;
      std::cerr << name << ": " << error.what() << "\n";
      state.SkipWithError(error.what());
    }
  };
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMicrosecond);
}

// Registers the rows that the filter keeps; returns their names. `beds` and `failures` outlive the rows.
std::vector<std::string> register_rows(const Flags& flags, std::vector<std::unique_ptr<Bed>>& beds,
                                       int& failures) {
  const std::regex filter(flags.filter);
  const SamplingLimits limits{.noise = flags.noise / 100, .seconds = flags.seconds};
  std::vector<std::string> names;
  for (const DeviceKind kind : devices_of(flags)) {
    const std::shared_ptr<Device> device = make_device(kind);
    for (const PrecisionKind precision : precisions_of(flags, kind)) {
      Bed& bed = *beds.emplace_back(std::make_unique<Bed>(device, flags.net, precision));
      for (const BenchOp& op : bed.ops.ops())
        for (const bool cold : {false, true}) {
          if (cold ? flags.hot_only : flags.cold_only) continue;
          const std::string name = fmt::format("{}/{}/{}/{}", op.name, to_string(kind), to_string(precision),
                                               cold ? "cold" : "hot");
          if (!std::regex_search(name, filter)) continue;
          names.push_back(name);
          register_row(name, bed, op, cold, limits, failures);
        }
    }
  }
  return names;
}

// Describes the device and its peaks at the head of the result.
void add_context(const Bed& bed, bool one_of_many) {
  const std::string which =
      one_of_many ? fmt::format(" {} {}", to_string(bed.device->kind()), to_string(bed.precision)) : "";
  const auto add = [&](const std::string& name, const std::string& value) {
    benchmark::AddCustomContext(name + which, value);
    print_out("{}{}: {}\n", name, which, value);
  };
  add("device", bed.device->description());
  for (const auto& [name, rate] : bed.peaks.rates()) add(name, fmt::format("{:.1f}", 1e-9 * rate));
}

int run(const Flags& flags) {
  check_usage(flags.noise > 0 && flags.seconds > 0, "--noise and --seconds must be positive");
  set_host_threads(flags.threads);
  std::vector<std::unique_ptr<Bed>> beds;
  int failures = 0;
  const std::vector<std::string> names = register_rows(flags, beds, failures);
  check_usage(!names.empty(), "--filter '{}' keeps no row; --list prints their names", flags.filter);
  if (flags.list) {
    for (const std::string& name : names) print_out("{}\n", name);
    return 0;
  }
  for (const std::unique_ptr<Bed>& bed : beds) add_context(*bed, beds.size() > 1);
  std::vector<std::string> words{"bench_kernels"};
  if (!flags.out.empty()) words.push_back("--benchmark_out=" + flags.out);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  RowTable table;
  PlainNames file;
  flags.out.empty() ? benchmark::RunSpecifiedBenchmarks(&table)
                    : benchmark::RunSpecifiedBenchmarks(&table, &file);
  benchmark::Shutdown();
  return failures > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  wait_briefly_then_sleep(argv);
  Flags flags;
  return run_program(argc, argv,
                     {"bench_kernels", "Times every op, with its operands in the caches and in memory."},
                     flag_table(flags), [&] { return run(flags); });
}
