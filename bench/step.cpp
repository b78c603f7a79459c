// bench_step: times training steps or evaluations of a ResNet on random images and prints one JSON object.
// bench/compare_step.py compares it with PyTorch.

#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/cli.h"
#include "apps/cli/kernel_report.h"
#include "bench/random_images.h"
#include "engine/evaluator.h"
#include "engine/io/plan_cache.h"
#include "engine/precision.h"
#include "engine/trainer.h"
#include "kernels/planning/planning_device.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"
#include "kernels/runtime/thread_waiting.h"
#include "nets/resnet.h"

namespace {

using namespace tdds;

struct Flags {
  std::string arch = "resnet18", plan_cache;
  DeviceKind device = DeviceKind::kCpu;
  PrecisionKind precision = PrecisionKind::kFp32;
  ConvAlgo conv_algo = ConvAlgo::kAuto;
  std::int32_t batch_size = 100, steps = 10, block = 1, warmup = 2, classes = 100;
  double width = 1;
  int threads = 0;
  bool evaluate = false, no_dynamics = false, plans = false, profile = false;
  bool no_dependent_launches = false, no_branches = false, eager = false, kernel_report = false;
  OwnConvolutions own_convolutions = OwnConvolutions::kWhereFaster;
  std::string target;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The ops of a step on a host device, in descending order of CPU time: seconds per step and share of the
// total.
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

// A network on random images, with its trainer or evaluator.
class Workload {
 public:
  Workload(Device& device, const Flags& flags, std::int64_t images)
      : flags_(flags),
        precision_(precision_on(device.kind(), flags.precision)),
        stream_(device.make_stream()),
        net_(make_resnet({.arch = flags.arch,
                          .classes = flags.classes,
                          .width = flags.width,
                          .input_channels = device.kind() == DeviceKind::kCpu ? 3 : 8})),
        set_(device, *stream_, random_images(images, 32, flags.classes), {0.5f, 0.5f, 0.5f},
             {0.25f, 0.25f, 0.25f}),
        pool_(device, *net_) {
    net_->params().place(device, *stream_, precision_.compute);
    net_->params().initialize(*stream_, 42);
    if (flags.evaluate)
      evaluator_.emplace(device, *stream_, *net_, pool_, set_, flags.batch_size, precision_.compute,
                         precision_.math, flags.conv_algo);
    else
      trainer_.emplace(device, *stream_, *net_, pool_, set_,
                       TrainOptions{.batch = flags.batch_size,
                                    .epochs = 1,
                                    .learning_rate = 1e-3,
                                    .dynamics = !flags.no_dynamics,
                                    .compute = precision_.compute,
                                    .math = precision_.math,
                                    .algo = flags.conv_algo,
                                    .loss_scale = precision_.loss_scale,
                                    .record_steps = !flags.eager});
    pool_.place();
  }

  Stream& stream() { return *stream_; }
  const Net& net() const { return *net_; }
  Trainer* trainer() { return trainer_ ? &*trainer_ : nullptr; }

  // Runs and times an evaluation, or a block of steps; returns the seconds of the evaluation or of one step.
  double timed() {
    const auto start = std::chrono::steady_clock::now();
    if (evaluator_) evaluator_->run();
    for (int j = 0; trainer_ && j < flags_.block; ++j) trainer_->step();
    stream_->synchronize();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return evaluator_ ? took : took / flags_.block;
  }

 private:
  const Flags& flags_;
  Precision precision_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Net> net_;
  DeviceDataset set_;
  PassPool pool_;
  std::optional<Trainer> trainer_;
  std::optional<Evaluator> evaluator_;
};

// The work of a training step, counting each operand of each op once.
Work work_of_step(const Flags& flags, Device& plans) {
  PlanningDevice device(plans);
  Workload planned(device, flags, flags.batch_size);
  device.work() = {};
  planned.trainer()->step();
  return device.work();
}

nlohmann::ordered_json run(const Flags& flags) {
  check_usage(!flags.profile || flags.device != DeviceKind::kCuda,
              "--profile times the ops of a host device; use Nsight Systems on a GPU");
  check_usage(!flags.kernel_report || flags.device == DeviceKind::kSimt,
              "--kernel_report counts what kernels do on the device simt: give --device simt");
  const ReportTarget target = flags.kernel_report ? report_target(flags.target) : ReportTarget{};
  set_host_threads(flags.threads);
  DeviceOptions device_options;
  device_options.cudnn_autotune = !flags.plan_cache.empty();
  device_options.plan_cache = plan_cache_file(flags.plan_cache);
  device_options.dependent_launches = !flags.no_dependent_launches;
  if (flags.no_branches) device_options.branches = Branches::kInPlace;
  device_options.own_convolutions = flags.own_convolutions;
  device_options.count_accesses = flags.kernel_report;
  const auto device = make_device(flags.device, device_options);
  const std::int64_t runs = flags.evaluate ? 1 : std::int64_t{flags.block} * (flags.steps + flags.warmup);
  Workload workload(*device, flags, runs * flags.batch_size);
  std::vector<double> seconds;
  seconds.reserve(static_cast<std::size_t>(std::max(0, flags.steps)));
  for (int i = 0; i < flags.warmup; ++i) workload.timed();
  if (flags.profile) static_cast<HostStream&>(workload.stream()).time_commands();
  if (flags.kernel_report) clear(*device->kernel_counts());
  for (int i = 0; i < flags.steps; ++i) seconds.push_back(workload.timed());
  if (flags.plans && workload.trainer()) std::cerr << to_string(workload.trainer()->plans());
  const double middle = median(seconds);
  nlohmann::ordered_json result = {
      {"device", device->description()},
      {"precision", to_string(flags.precision)},
      {"conv_algo", to_string(flags.conv_algo)},
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
       (flags.evaluate ? 2 : 6) * 1e-9 * workload.net().forward_macs() * flags.batch_size / middle}};
  if (!flags.evaluate) {
    const Work work = work_of_step(flags, *device);
    result["operand_bytes"] = work.bytes;
    result["operand_gigabytes_per_second"] = 1e-9 * work.bytes / middle;
    result["commands"] = workload.trainer()->commands();
    if (flags.device == DeviceKind::kCuda) {
      const Precision precision = precision_on(flags.device, flags.precision);
      result["floor_seconds"] = floor_of(work, device->peak(), precision.compute, precision.math).seconds();
    }
  }
  if (flags.profile) result["profile"] = profile_of(workload.stream(), flags.steps);
  if (flags.kernel_report) {
    std::cerr << kernel_table(*device->kernel_counts(), target);
    result["kernels"] = to_json(*device->kernel_counts(), target);
  }
  return result;
}

FlagTable step_flags(Flags& flags) {
  return {
      {"arch", &flags.arch, "Network"},
      {"device", choice(flags.device, kDeviceKinds), "cpu, simt or cuda"},
      {"precision", choice(flags.precision, kPrecisions),
       "fp32; on a GPU also tf32, fp16 and bf16; on a CPU bf16"},
      {"conv_algo", choice(flags.conv_algo, kConvAlgos), "On a CPU: auto, direct or winograd"},
      {"batch_size", &flags.batch_size, "Images per step"},
      {"width", &flags.width, "Channel multiplier"},
      {"steps", &flags.steps, "Steps to time; with --block, blocks to time"},
      {"block", &flags.block, "Training steps between two waits for the device"},
      {"warmup", &flags.warmup, "Steps (or blocks) before the measurement"},
      {"threads", &flags.threads, "CPU threads; 0: one per core"},
      {"evaluate", &flags.evaluate, "Time evaluations (forward passes) instead of training steps"},
      {"no_dynamics", &flags.no_dynamics, "Train without recording dynamics"},
      {"eager", &flags.eager, "Enqueue the ops of every step instead of replaying a recording"},
      {"no_dependent_launches", &flags.no_dependent_launches,
       "On a GPU: launch each kernel after the one in front of it has ended"},
      {"no_branches", &flags.no_branches,
       "On a GPU: run the gradients of filters between the other kernels, not beside them"},
      {"own_convolutions", choice(flags.own_convolutions, kOwnConvolutions),
       "On a GPU or simt: never, where_faster (than cuDNN's plans, with --plan_cache) or always run 3x3 "
       "convolutions by "
       "the project's own kernels, where these support them"},
      {"profile", &flags.profile, "On a host device: print the time of each op in a step"},
      {"kernel_report", &flags.kernel_report,
       "On simt: count what each kernel does in the steps; print a table to stderr"},
      {"target", &flags.target, "With --kernel_report: the architecture of the registers; default: sm_90"},
      {"plan_cache", &flags.plan_cache, "On a GPU: choose cuDNN's plans by timing them, and keep them here"},
      {"plans", &flags.plans, "Print the convolution plans to stderr"}};
}

}  // namespace

int main(int argc, char** argv) {
  tdds::wait_briefly_then_sleep(argv);
  Flags flags;
  return run_program(
      argc, argv,
      {"bench_step", "Times training steps or evaluations on random images; prints one JSON object."},
      step_flags(flags), [&] {
        std::cout << run(flags).dump(flags.profile || flags.kernel_report ? 1 : -1) << "\n";
        return 0;
      });
}
