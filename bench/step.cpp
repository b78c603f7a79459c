// bench_step: times whole training steps or evaluations of a ResNet on random images and prints one JSON
// object. bench/compare_step.py sets it beside PyTorch.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/evaluator.h"
#include "engine/precision.h"
#include "engine/trainer.h"
#include "kernels/check.h"
#include "kernels/host_stream.h"
#include "kernels/philox.h"
#include "nets/resnet.h"

namespace {

using namespace tdds;

struct Flags {
  std::string arch = "resnet18", device = "cpu", precision = "fp32", conv_algo = "auto", plan_cache;
  std::int32_t batch_size = 100, steps = 10, block = 1, warmup = 2, classes = 100;
  double width = 1;
  int threads = 0;
  bool evaluate = false, no_dynamics = false, plans = false, profile = false;
};

ImageSet random_images(std::int64_t n, std::int32_t classes) {
  ImageSet set{.height = 32, .width = 32, .images = {}, .labels = {}};
  for (std::int64_t i = 0; i < n * 3072; i += 4) {
    const PhiloxWords words = philox(1, Purpose::kTest, 0, i);
    for (std::uint32_t word : words.w) set.images.push_back(static_cast<std::uint8_t>(word));
  }
  for (std::int64_t i = 0; i < n; ++i) set.labels.push_back(static_cast<std::int32_t>(i % classes));
  return set;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The ops of a step on a host device, the longest first: seconds a step, and the share of all.
nlohmann::ordered_json profile_of(const Stream& stream, int steps) {
  const std::map<std::string, CommandTime>& times = static_cast<const HostStream&>(stream).command_times();
  std::vector<std::pair<std::string, CommandTime>> sorted(times.begin(), times.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.cpu_seconds > b.second.cpu_seconds; });
  double total = 0;
  for (const auto& [name, time] : sorted) total += time.cpu_seconds;
  nlohmann::ordered_json profile;
  for (const auto& [name, time] : sorted)
    profile[name] = {{"calls", static_cast<double>(time.calls) / steps},
                     {"seconds", time.seconds / steps},
                     {"cpu_seconds", time.cpu_seconds / steps},
                     {"cpu_share", time.cpu_seconds / total}};
  return profile;
}

nlohmann::ordered_json run(const Flags& flags) {
  check_usage(!flags.profile || flags.device != "cuda",
              "--profile times the ops of a host device; on a GPU use "
              "Nsight Systems");
  set_host_threads(flags.threads);
  DeviceOptions device_options;
  device_options.cudnn_autotune = !flags.plan_cache.empty();
  device_options.plan_cache = flags.plan_cache;
  const auto device = make_device(parse_device_kind(flags.device), device_options);
  const auto stream = device->make_stream();
  const Precision precision = parse_precision(flags.precision, device->kind());
  ResNetSpec spec;
  spec.arch = flags.arch;
  spec.classes = flags.classes;
  spec.width = flags.width;
  spec.input_channels = device->kind() == DeviceKind::kCpu ? 3 : 8;
  const auto net = make_resnet(spec);
  net->params().place(*device, *stream, precision.compute);
  net->params().initialize(*stream, 42);
  const std::int64_t images = std::int64_t{flags.batch_size} * flags.block * (flags.steps + flags.warmup);
  const ResidentSet set(*device, *stream, random_images(images, flags.classes), {0.5f, 0.5f, 0.5f},
                        {0.25f, 0.25f, 0.25f});
  const ResidentSet one_batch(*device, *stream, random_images(flags.batch_size, flags.classes),
                              {0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f});
  PassPool pool(*device, *net);
  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<Evaluator> evaluator;
  if (flags.evaluate) {
    evaluator =
        std::make_unique<Evaluator>(*device, *stream, *net, pool, one_batch, flags.batch_size,
                                    precision.compute, precision.math, parse_conv_algo(flags.conv_algo));
  } else {
    TrainOptions options;
    options.batch = flags.batch_size;
    options.epochs = 1;
    options.learning_rate = 1e-3;
    options.dynamics = !flags.no_dynamics;
    options.compute = precision.compute;
    options.math = precision.math;
    options.algo = parse_conv_algo(flags.conv_algo);
    options.loss_scale = precision.loss_scale;
    trainer = std::make_unique<Trainer>(*device, *stream, *net, pool, set, options);
  }
  pool.place();
  std::vector<double> seconds;
  for (int i = 0; i < flags.warmup + flags.steps; ++i) {
    if (i == flags.warmup && flags.profile) static_cast<HostStream&>(*stream).time_commands();
    const auto start = std::chrono::steady_clock::now();
    if (trainer) {
      for (int j = 0; j < flags.block; ++j) trainer->step();
      stream->synchronize();
    } else {
      evaluator->run();
    }
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i >= flags.warmup) seconds.push_back(trainer ? took / flags.block : took);
  }
  if (flags.plans && trainer) std::cerr << trainer->plans();
  const double middle = median(seconds);
  nlohmann::ordered_json result = {
      {"device", device->description()},
      {"precision", flags.precision},
      {"conv_algo", flags.conv_algo},
      {"cudnn_autotune", !flags.plan_cache.empty()},
      {"arch", flags.arch},
      {"width", flags.width},
      {"batch", flags.batch_size},
      {"mode", flags.evaluate ? "evaluation" : "training"},
      {"dynamics", !flags.evaluate && !flags.no_dynamics},
      {"steps", flags.steps},
      {"block", flags.block},
      {"seconds_median", middle},
      {"seconds_min", *std::min_element(seconds.begin(), seconds.end())},
      {"images_per_second", flags.batch_size / middle},
      {"gflops_per_second",
       (flags.evaluate ? 2 : 6) * 1e-9 * net->forward_macs() * flags.batch_size / middle}};
  if (trainer) {
    const Traffic traffic = trainer->traffic();
    result["planned_bytes"] = traffic.total();
    result["floor_bytes"] = traffic.floor;
    result["gigabytes_per_second"] = 1e-9 * traffic.total() / middle;
  }
  if (flags.profile) result["profile"] = profile_of(*stream, flags.steps);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Times training steps or evaluations on random images; prints one JSON object.");
  app.add_option("--arch", flags.arch, "Network")->capture_default_str();
  app.add_option("--device", flags.device, "cpu, simt or cuda")->capture_default_str();
  app.add_option("--precision", flags.precision, "fp32; on a GPU also tf32, fp16 and bf16; on a CPU bf16")
      ->capture_default_str();
  app.add_option("--conv_algo", flags.conv_algo, "On a CPU: auto, direct or winograd")->capture_default_str();
  app.add_option("--batch-size", flags.batch_size, "Images a step")->capture_default_str();
  app.add_option("--width", flags.width, "Channel multiplier")->capture_default_str();
  app.add_option("--steps", flags.steps, "Steps timed; with --block, blocks")->capture_default_str();
  app.add_option("--block", flags.block, "Training steps between two waits for the device")
      ->capture_default_str();
  app.add_option("--warmup", flags.warmup, "Steps before them")->capture_default_str();
  app.add_option("--threads", flags.threads, "CPU threads; 0: one per core")->capture_default_str();
  app.add_flag("--evaluate", flags.evaluate, "Forward only");
  app.add_flag("--no-dynamics", flags.no_dynamics, "Train without recording dynamics");
  app.add_flag("--profile", flags.profile, "On a host device: what each op takes in a step");
  app.add_option("--plan_cache", flags.plan_cache,
                 "On a GPU: choose cuDNN's plans by timing them, and keep them here");
  app.add_flag("--plans", flags.plans, "Print the convolution plans to stderr");
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << run(flags).dump(flags.profile ? 1 : -1) << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_step: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
