// bench_probe: checks the tensor cores of a GPU and measures its limits. Prints one JSON object: whether each
// instruction of kernels/gpu/tensor_core.h is right, the bandwidth of the GPU's memory and of its
// second-level cache, and the time of a tiny kernel in a recording, with and without dependent launches.

#include "bench/probe.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/cli/cli.h"
#include "bench/matrix_probe.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace {

using namespace tdds;

struct Flags {
  DeviceKind device = DeviceKind::kCuda;
  int mib = 1024, cached_mib = 16, launches = 200, repeats = 9;
};

template <class Probe>
void enqueue(Stream& stream, const Probe& probe) {
  if (stream.device().kind() == DeviceKind::kCuda)
    cuda::run(stream, probe);
  else
    simt::run(stream, probe);
}

// The median of the seconds that a replay of `body` takes, after a run that is not timed.
double seconds_of(Stream& stream, int repeats, const std::function<void()>& body) {
  body();  // loads the kernel
  const auto recording = stream.record(body);
  std::vector<double> seconds;
  for (int i = -1; i < repeats; ++i) {
    stream.synchronize();
    const auto start = std::chrono::steady_clock::now();
    stream.replay(*recording);
    stream.synchronize();
    if (i >= 0)
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

std::int64_t floats_in(int mib) {
  return std::int64_t{mib} << 18;
}

double copy_rate(Device& device, Stream& stream, const Flags& flags) {
  const std::int64_t n = floats_in(flags.mib);
  const DeviceMemory from(device, n * sizeof(float), "the copied buffer"),
      to(device, n * sizeof(float), "the copy");
  constexpr int kCopies = 8;
  const double seconds = seconds_of(stream, flags.repeats, [&] {
    for (int i = 0; i < kCopies; ++i) enqueue(stream, CopyProbe{from.get<float>(), to.get<float>(), n});
  });
  return kCopies * 2.0 * sizeof(float) * static_cast<double>(n) / seconds;
}

double cached_read_rate(Device& device, Stream& stream, const Flags& flags) {
  const std::int64_t n = floats_in(flags.cached_mib);
  const DeviceMemory from(device, n * sizeof(float), "the buffer that is read"),
      sums(device, kReadThreads * sizeof(float), "the sums");
  const std::int32_t passes = device.kind() == DeviceKind::kCuda ? 200 : 1;
  const double seconds = seconds_of(stream, flags.repeats, [&] {
    enqueue(stream, ReadProbe{from.get<float>(), sums.get<float>(), n, passes});
  });
  return sizeof(float) * static_cast<double>(n) * passes / seconds;
}

// Seconds per launch. Throws Error if a kernel did not see what the one in front of it wrote.
double launch_seconds(const Flags& flags, bool dependent) {
  const auto device = make_device(flags.device, {.dependent_launches = dependent});
  const auto stream = device->make_stream();
  const DeviceMemory counter(*device, sizeof(std::uint32_t), "the counter");
  stream->zero(counter.data(), sizeof(std::uint32_t));
  const double seconds = seconds_of(*stream, flags.repeats, [&] {
    for (int i = 0; i < flags.launches; ++i) enqueue(*stream, TickProbe{counter.get<std::uint32_t>()});
  });
  std::uint32_t counted = 0;
  stream->download(&counted, counter.data(), sizeof(counted));
  stream->synchronize();
  const auto expected = static_cast<std::uint32_t>(flags.launches * (flags.repeats + 2));
  check(counted == expected,
        "{} of {} launches were counted {} dependent launches: kernels do not wait for each other", counted,
        expected, dependent ? "with" : "without");
  return seconds / flags.launches;
}

nlohmann::ordered_json run(const Flags& flags) {
  check_usage(flags.device != DeviceKind::kCpu, "--device: the probes are GPU kernels; choose cuda or simt");
  check_usage(flags.mib > 0 && flags.cached_mib > 0 && flags.launches > 0 && flags.repeats > 0,
              "--mib, --cached_mib, --launches and --repeats must be positive");
  const auto device = make_device(flags.device);
  const auto stream = device->make_stream();
  return {{"device", device->description()},
          {"tensor_cores", check_tensor_cores(*stream)},
          {"copy_gigabytes_per_second", 1e-9 * copy_rate(*device, *stream, flags)},
          {"cached_read_gigabytes_per_second", 1e-9 * cached_read_rate(*device, *stream, flags)},
          {"peak_gigabytes_per_second", 1e-9 * device->peak().bytes},
          {"launch_microseconds", 1e6 * launch_seconds(flags, false)},
          {"dependent_launch_microseconds", 1e6 * launch_seconds(flags, true)}};
}

FlagTable probe_flags(Flags& flags) {
  return {{"device", choice(flags.device, kDeviceKinds), "cuda, or simt to try the kernels without a GPU"},
          {"mib", &flags.mib, "MiB of the buffer that is copied"},
          {"cached_mib", &flags.cached_mib, "MiB of the buffer that is read from the second-level cache"},
          {"launches", &flags.launches, "Tiny kernels in a recording"},
          {"repeats", &flags.repeats, "Measurements; the median counts"}};
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  return run_program(argc, argv,
                     {"bench_probe",
                      "Checks the tensor cores of a GPU and measures its limits; prints "
                      "one JSON object. The exit code is 1 if an instruction is wrong."},
                     probe_flags(flags), [&] {
                       const nlohmann::ordered_json result = run(flags);
                       std::cout << result.dump() << "\n";
                       return all_right(result["tensor_cores"]) ? 0 : 1;
                     });
}
