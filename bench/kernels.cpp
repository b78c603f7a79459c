// bench_kernels: times every op on every device and in every precision, with the operands in the caches (hot)
// and in memory (cold). docs/measuring.md says how to read a row.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <iostream>
#include <regex>

#include "apps/cli/cli.h"
#include "apps/cli/output.h"
#include "bench/op_list.h"
#include "bench/peaks.h"
#include "bench/reporters.h"
#include "bench/sampling.h"
#include "bench/torch_peers.h"
#include "kernels/ops/conv2d.h"
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
  double noise = 2, seconds = 0.2;
  int rounds = 20, threads = 0;
  bool list = false, hot_only = false, cold_only = false, torch = false, engines = false;
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
      {"torch", &f.torch, "Measure PyTorch's op beside each row; docs/measuring.md says with which Python"},
      {"engines", &f.engines, "Time all of cuDNN's plans of each convolution; slow"},
      {"noise", &f.noise, "Stop a row when its median is known to this many percent"},
      {"seconds", &f.seconds, "Or when it took this long, in all rounds together"},
      {"rounds", &f.rounds, "How often all rows are measured in turn, each time in other memory"},
      {"threads", &f.threads, "CPU threads; 0: one per core"},
      {"out", &f.out, "Write the result as Google Benchmark's JSON here"}};
}

// One device with one precision.
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

// A row of the table, and the seconds of its runs so far.
struct Row {
  std::string name;
  Bed* bed;
  const BenchOp* op;
  bool cold;
  std::vector<std::vector<double>> rounds = {};
  std::string error = {};  // why it could not be measured
  TorchPeer torch = {};
  std::vector<TimedConvPlan> engines = {};  // the plans of a convolution on a GPU
};

std::vector<double> sample_row(const Row& row, SamplingLimits limits) {
  Bed& bed = *row.bed;
  limits.warm_up = !row.cold;
  const auto undo = [&] { bed.ops.undo(*row.op, *bed.stream); };
  std::function<void()> prepare;
  if (row.cold)
    prepare = [&] {
      undo();
      bed.flush.enqueue(*bed.stream);
    };
  else if (bed.ops.needs_undo(*row.op))
    prepare = undo;
  std::vector<double> seconds = sample(
      *bed.stream, prepare, [&] { row.op->op.run(*bed.stream); }, limits);
  undo();
  bed.stream->synchronize();
  return seconds;
}

// Directly after the row's own runs, which took `median` seconds.
void add_torch_samples(Row& row, TorchPeers& torch, int batch, int round, double median,
                       const SamplingLimits& limits) {
  const Bed& bed = *row.bed;
  if (row.torch.failed || bed.device->kind() == DeviceKind::kSimt || !torch.has(*row.op)) return;
  try {
    const std::vector<double> more = torch.sample(*row.op,
                                                  {.device = bed.device->kind(),
                                                   .precision = bed.precision,
                                                   .batch = batch,
                                                   .round = round,
                                                   .flush_bytes = row.cold ? bed.flush.bytes() : 0},
                                                  limits);
    row.torch.seconds.insert(row.torch.seconds.end(), more.begin(), more.end());
    row.torch.ratios.push_back(timing_of(more).median / median);
  } catch (const PeerFailed& error) {
    row.torch.failed = true;
    std::cerr << row.name << ": " << error.what() << "\n";
  }
}

// A slow moment of the machine outlasts the runs of a row, and some ops depend on the memory that their
// operands happen to have. So all rows are measured in turn, in rounds, and each round has other memory.
void measure_in_rounds(std::vector<Row>& rows, const Flags& flags, TorchPeers* torch) {
  const SamplingLimits limits{.noise = flags.noise / 100, .seconds = flags.seconds / flags.rounds};
  for (int round = 0; round < flags.rounds; ++round) {
    std::cerr << fmt::format("round {} of {}, {} rows\n", round + 1, flags.rounds, rows.size());
    const Bed* last = nullptr;
    for (Row& row : rows) {
      if (round > 0 && row.bed != last) row.bed->ops.move_memory();
      last = row.bed;
      if (!row.error.empty()) continue;
      std::vector<double> more;
      try {
        more = sample_row(row, limits);
      } catch (const std::exception& error) {
        row.error = error.what();
        std::cerr << row.name << ": " << error.what() << "\n";
        continue;
      }
      if (torch) add_torch_samples(row, *torch, flags.net.batch, round, timing_of(more).median, limits);
      row.rounds.push_back(std::move(more));
    }
  }
}

const Conv2dCall* gpu_convolution(const Row& row) {
  if (row.bed->device->kind() != DeviceKind::kCuda) return nullptr;
  return std::any_cast<Conv2dCall>(&row.op->op.work.args);
}

// The hot and the cold row of a convolution, which are neighbours, share the figures of its plans.
void time_engines(std::vector<Row>& rows) {
  const Row* last = nullptr;
  for (Row& row : rows) {
    const Conv2dCall* call = gpu_convolution(row);
    if (!call) continue;
    if (last && last->op == row.op) {
      row.engines = last->engines;
    } else {
      std::cerr << "the plans of " << row.name << "\n";
      try {
        row.engines = time_conv2d_plans(*row.bed->device, *call);
      } catch (const std::exception& error) {
        row.error = error.what();
        std::cerr << row.name << ": " << error.what() << "\n";
      }
    }
    last = &row;
  }
}

void report(benchmark::State& state, const Row& row) {
  if (!row.error.empty()) return state.SkipWithError(row.error.c_str());
  Bed& bed = *row.bed;
  const Timing timing = timing_of(row.rounds);
  while (state.KeepRunning()) state.SetIterationTime(timing.median);
  const OpWork& work = row.op->op.work;
  const double flops = work.conv_flops + work.fp32_flops;
  state.counters["min_us"] = 1e6 * timing.least;
  state.counters["noise"] = 100 * timing.noise;
  state.counters["samples"] = timing.samples;
  for (std::size_t i = 0; i < row.rounds.size(); ++i)
    state.counters[fmt::format("round_{}_us", i + 1)] = 1e6 * timing_of(row.rounds[i]).median;
  state.counters["calls"] = row.op->calls;
  state.counters["commands"] =
      static_cast<double>(bed.stream->record([&] { row.op->op.run(*bed.stream); })->commands());
  state.counters["MB"] = 1e-6 * work.bytes;
  state.counters["GB/s"] = 1e-9 * work.bytes / timing.median;
  if (flops > 0) {
    state.counters["GFLOP"] = 1e-9 * flops;
    state.counters["GFLOP/s"] = 1e-9 * flops / timing.median;
  }
  if (const double floor = bed.peaks.floor(work, bed.precision, row.cold); floor > 0)
    state.counters["floor"] = floor / timing.median;
  if (!row.torch.seconds.empty()) add_counters(state, row.torch);
  std::string label = row.op->shape;
  if (!row.engines.empty()) label += "; " + add_counters(state, row.engines);
  state.SetLabel(label);
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

// The rows that the filter keeps. `beds` outlives them.
std::vector<Row> rows_of(const Flags& flags, std::vector<std::unique_ptr<Bed>>& beds) {
  const std::regex filter(flags.filter);
  std::vector<Row> rows;
  for (const DeviceKind kind : devices_of(flags)) {
    const std::shared_ptr<Device> device = make_device(kind);
    for (const PrecisionKind precision : precisions_of(flags, kind)) {
      Bed& bed = *beds.emplace_back(std::make_unique<Bed>(device, flags.net, precision));
      for (const BenchOp& op : bed.ops.ops())
        for (const bool cold : {false, true}) {
          if (cold ? flags.hot_only : flags.cold_only) continue;
          const std::string name = fmt::format("{}/{}/{}/{}", op.name, to_string(kind), to_string(precision),
                                               cold ? "cold" : "hot");
          if (std::regex_search(name, filter)) rows.push_back({name, &bed, &op, cold});
        }
    }
  }
  return rows;
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

// The clocks of the GPU, if there is one. Called when it has just worked: an idle GPU lowers its clocks.
std::optional<DeviceClocks> clocks_of(const std::vector<std::unique_ptr<Bed>>& beds) {
  for (const std::unique_ptr<Bed>& bed : beds)
    if (auto clocks = bed->device->clocks()) return clocks;
  return std::nullopt;
}

void add_clocks(const DeviceClocks& before, const DeviceClocks& after) {
  benchmark::AddCustomContext("clocks_before", to_string(before));
  benchmark::AddCustomContext("clocks_after", to_string(after));
  if (const std::string warning = clocks_warning(before, after); !warning.empty()) {
    benchmark::AddCustomContext("clocks_warning", warning);
    std::cerr << "bench_kernels: warning: " << warning << "\n";
  }
}

int run(const Flags& flags) {
  check_usage(flags.noise > 0 && flags.seconds > 0 && flags.rounds > 0,
              "--noise, --seconds and --rounds must be positive");
  set_host_threads(flags.threads);
  std::optional<TorchPeers> torch;
  if (flags.torch && !flags.list) {
    const std::vector<DeviceKind> devices = devices_of(flags);
    torch.emplace(flags.threads > 0 ? flags.threads : host_cores(),
                  std::find(devices.begin(), devices.end(), DeviceKind::kCuda) != devices.end());
  }
  std::vector<std::unique_ptr<Bed>> beds;
  std::vector<Row> rows = rows_of(flags, beds);
  check_usage(!rows.empty(), "--filter '{}' keeps no row; --list prints their names", flags.filter);
  if (flags.list) {
    for (const Row& row : rows) print_out("{}\n", row.name);
    return 0;
  }
  check_usage(
      !flags.engines || std::any_of(rows.begin(), rows.end(), gpu_convolution),
      "--engines: no row is a convolution on a GPU; leave it out, or give another --device or --filter");
  const std::optional<DeviceClocks> before = clocks_of(beds);
  measure_in_rounds(rows, flags, torch ? &*torch : nullptr);
  const std::optional<DeviceClocks> after = clocks_of(beds);
  if (flags.engines) time_engines(rows);
  for (const Row& row : rows)
    benchmark::RegisterBenchmark(row.name.c_str(), [&row](benchmark::State& state) { report(state, row); })
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMicrosecond);
  benchmark::AddCustomContext("tdds_version", version_text());
  benchmark::AddCustomContext("rounds", fmt::format("{}", flags.rounds));
  if (torch) benchmark::AddCustomContext("torch_version", torch->version());
  for (const std::unique_ptr<Bed>& bed : beds) add_context(*bed, beds.size() > 1);
  if (before && after) add_clocks(*before, *after);
  std::vector<std::string> words{"bench_kernels"};
  if (!flags.out.empty()) words.push_back("--benchmark_out=" + flags.out);
  std::vector<char*> argv(words.size());
  std::transform(words.begin(), words.end(), argv.begin(), [](std::string& word) { return word.data(); });
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  RowTable table(flags.torch, flags.engines);
  PlainNames file;
  flags.out.empty() ? benchmark::RunSpecifiedBenchmarks(&table)
                    : benchmark::RunSpecifiedBenchmarks(&table, &file);
  benchmark::Shutdown();
  return std::any_of(rows.begin(), rows.end(), [](const Row& row) { return !row.error.empty(); }) ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  wait_briefly_then_sleep(argv);
  Flags flags;
  return run_program(argc, argv,
                     {"bench_kernels", "Times every op, with its operands in the caches and in memory."},
                     flag_table(flags), [&] { return run(flags); });
}
