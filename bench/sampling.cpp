#include "bench/sampling.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>

namespace tdds {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// Whether the median is known well enough: its standard error is about 0.93 interquartile ranges over the
// root of the number of samples (of a normal distribution).
bool settled(const std::vector<double>& seconds, const SamplingLimits& limits, double began) {
  constexpr std::size_t kFew = 5;  // fewer may agree by chance
  if (!seconds.empty() && now() - began > limits.seconds) return true;
  if (seconds.size() < kFew) return false;
  const Timing timing = timing_of(seconds);
  return 1.86 * timing.noise / std::sqrt(timing.samples) < limits.noise;
}

// On a GPU, one recording has many runs, so that launching and waiting for it takes no part in the time.
constexpr int kRecordedRuns = 20;

std::vector<double> replays(Stream& stream, const SamplingLimits& limits, const std::function<void()>& body) {
  body();  // loads code, which is not allowed while recording
  stream.synchronize();
  const auto recording = stream.record([&] {
    for (int i = 0; i < kRecordedRuns; ++i) body();
  });
  std::vector<double> seconds;
  const double began = now();
  for (int i = -1; i < 0 || !settled(seconds, limits, began); ++i) {
    const double start = now();
    stream.replay(*recording);
    stream.synchronize();
    if (i >= 0) seconds.push_back((now() - start) / kRecordedRuns);
  }
  return seconds;
}

// The size of the last-level cache of the host, in bytes.
std::size_t host_cache_bytes() {
  std::size_t most = std::size_t{32} << 20;
  for (int index = 0; index < 8; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");
    std::size_t kib = 0;
    if (file >> kib) most = std::max(most, kib << 10);
  }
  return most;
}

}  // namespace

Timing timing_of(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const double median = quantile(seconds, 0.5);
  return {.median = median,
          .least = seconds.front(),
          .noise = (quantile(seconds, 0.75) - quantile(seconds, 0.25)) / 2 / median,
          .samples = static_cast<int>(seconds.size())};
}

Timing timing_of(const std::vector<std::vector<double>>& rounds) {
  if (rounds.size() == 1) return timing_of(rounds.front());
  std::vector<double> medians;
  Timing all{.least = std::numeric_limits<double>::infinity()};
  for (const std::vector<double>& round : rounds) {
    const Timing one = timing_of(round);
    medians.push_back(one.median);
    all.least = std::min(all.least, one.least);
    all.samples += one.samples;
  }
  const Timing over_rounds = timing_of(medians);
  all.median = over_rounds.median;
  all.noise = over_rounds.noise;
  return all;
}

// A shared cache of a large host may be larger than what is worth writing for each run.
CacheFlush::CacheFlush(Device& device)
    : memory_(device,
              device.kind() == DeviceKind::kCuda
                  ? std::size_t{256} << 20
                  : std::min(host_cache_bytes() + host_cache_bytes() / 2, std::size_t{256} << 20),
              "the memory that flushes the cache") {}

void CacheFlush::enqueue(Stream& stream) const {
  if (stream.device().kind() == DeviceKind::kCuda) return stream.zero(memory_.data(), memory_.bytes());
  // Each line is read and written: filling memory as a whole may go past the caches.
  constexpr std::size_t kLine = 64 / sizeof(std::uint32_t);
  auto* words = memory_.get<std::uint32_t>();
  const std::size_t count = memory_.bytes() / sizeof(std::uint32_t);
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < count; i += kLine) ++words[i];
}

std::vector<double> sample(Stream& stream, const std::function<void()>& prepare,
                           const std::function<void()>& run, const SamplingLimits& limits) {
  if (stream.device().kind() == DeviceKind::kCuda) {
    const auto both = [&] {
      if (prepare) prepare();
      run();
    };
    std::vector<double> seconds = replays(stream, limits, both);
    if (prepare) {
      const double before = timing_of(replays(stream, limits, prepare)).median;
      for (double& one : seconds) one = std::max(one - before, 1e-9);
    }
    return seconds;
  }
  std::vector<double> seconds;
  const double began = now();
  for (int i = limits.warm_up ? -1 : 0; i < 1 || !settled(seconds, limits, began); ++i) {
    if (prepare) prepare();
    stream.synchronize();
    const double start = now();
    run();
    stream.synchronize();
    if (i >= 0) seconds.push_back(now() - start);
  }
  return seconds;
}

}  // namespace tdds
