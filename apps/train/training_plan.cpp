#include "apps/training_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "kernels/ops.h"

namespace tdds {
namespace {

double mib(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

std::vector<std::pair<std::string, std::size_t>> memory_rows(const PlanningDevice& device,
                                                             TrainingSetup& setup, const Trainer& trainer) {
  const Params& params = setup.net().params();
  const auto weights = static_cast<std::size_t>(params.filters().n + params.vectors().n) * sizeof(float);
  std::size_t data = 0, dynamics = 0;
  for (const PlanningDevice::Allocation& one : device.allocated())
    if (one.what == "the images" || one.what == "the labels" || one.what == "the normalisation table")
      data += one.bytes;
  for (const StateArray& array : trainer.state_arrays()) {
    if (array.name == "state" || array.name == "loss" || array.name == "correct") continue;
    std::size_t bytes = size_of(array.dtype);
    for (const std::int64_t size : array.shape) bytes *= static_cast<std::size_t>(size);
    dynamics += bytes;
  }
  std::vector<std::pair<std::string, std::size_t>> rows{
      {"parameters", weights},
      {"momentum", weights},
      {"gradients, copies in the compute type, running statistics", params.bytes() - 2 * weights},
      {"activations kept for the backward pass", setup.pool().saved_bytes()},
      {"scratch: gradients of activations, workspace", setup.pool().scratch_bytes()},
      {"data set", data},
      {"dynamics", dynamics}};
  std::size_t sum = 0;
  for (const auto& row : rows) sum += row.second;
  rows.emplace_back("order, learning rates, losses, evaluation", device.allocated_bytes() - sum);
  return rows;
}

// A batch may leave a last one of a single sample, which cannot be trained on.
std::optional<std::size_t> bytes_of_batch(TrainingFlags flags, std::int32_t batch, Device& plans,
                                          const Dataset& data, const SubsetChoice* subset) {
  const std::int64_t samples = subset ? static_cast<std::int64_t>(subset->ids.size()) : data.train.count();
  if (samples % std::min<std::int64_t>(batch, samples) == 1) return std::nullopt;
  flags.batch_size = batch;
  return plan_training(flags, plans, data, subset).memory_bytes;
}

// 0 where not even a batch of 2 fits.
std::int32_t largest_batch(const TrainingFlags& flags, Device& plans, const Dataset& data,
                           const SubsetChoice* subset, std::size_t available) {
  std::int32_t fits = 0, too_large = flags.batch_size;
  while (too_large - fits > 1) {
    std::int32_t batch = fits + (too_large - fits) / 2;
    if (batch < 2) break;
    std::optional<std::size_t> bytes = bytes_of_batch(flags, batch, plans, data, subset);
    if (!bytes && batch - 1 > std::max(fits, 1)) bytes = bytes_of_batch(flags, --batch, plans, data, subset);
    if (bytes && *bytes <= available)
      fits = batch;
    else
      too_large = batch;
  }
  return fits;
}

// The data set of the flags or, where it is CIFAR and not here, as many black images.
Dataset planned_data(const TrainingFlags& flags) {
  DatasetOptions options = dataset_options(flags);
  options.download = false;
  try {
    return load_dataset(options);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    if (flags.dataset != "cifar10" && flags.dataset != "cifar100") throw;
    const auto black = [](std::int64_t n) {
      ImageSet set{.height = 32, .width = 32, .images = {}, .labels = {}};
      set.images.resize(static_cast<std::size_t>(n) * 3072);
      set.labels.resize(static_cast<std::size_t>(n));
      return set;
    };
    constexpr std::int64_t kTrain = 50000, kTest = 10000;
    const std::int64_t train =
        flags.max_train_samples > 0 ? std::min(kTrain, flags.max_train_samples) : kTrain;
    const auto held_out =
        static_cast<std::int64_t>(std::lround(flags.val_fraction * static_cast<double>(train)));
    Dataset data;
    data.name = flags.dataset;
    data.classes = flags.dataset == "cifar10" ? 10 : 100;
    data.train = black(train - held_out);
    data.test = black(kTest);
    if (held_out > 0) data.validation = black(held_out);
    data.notes = {
        fmt::format("planned for the published {} + {} images, since {}", train, kTest, error.what())};
    return data;
  }
}

template <class Enqueue>
double best_seconds(Stream& stream, const Enqueue& enqueue) {
  double best = INFINITY;
  for (int i = 0; i < 6; ++i) {
    const auto start = std::chrono::steady_clock::now();
    enqueue();
    stream.synchronize();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

// A CPU tells neither; a long addition and a matrix product come close to both.
DevicePeak measured_peak(Device& device) {
  constexpr std::int64_t kElements = std::int64_t{1} << 24;
  constexpr std::int32_t kSide = 1024;
  const auto stream = device.make_stream();
  const DeviceMemory memory(device, 3 * kElements * sizeof(float), "a measurement");
  stream->zero(memory.data(), memory.bytes());
  auto* const a = memory.get<float>();
  const double add = best_seconds(*stream, [&] {
    device.ops().add(*stream, {a, a + kElements, a + 2 * kElements, kElements, DType::kF32});
  });
  const auto linear =
      device.ops().make_linear(device, {.batch = kSide, .in_features = kSide, .out_features = kSide});
  const double multiply =
      best_seconds(*stream, [&] { linear->forward(*stream, a, a + kElements, a, a + 2 * kElements); });
  const double flops = 2.0 * kSide * kSide * kSide / multiply;
  return {.bytes = 3.0 * kElements * sizeof(float) / add,
          .fp32 = flops,
          .tf32 = flops,
          .half = flops,
          .memory_bytes = 0,
          .source = "measured just now: a long addition and a matrix product"};
}

void print_convolutions(const std::string& lines) {
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = lines.find('\n', begin)) != std::string::npos; begin = end + 1) {
    std::string line = lines.substr(begin, end - begin);
    const std::size_t colon = line.find(": ");
    fmt::print("  {}\n", line.substr(0, colon));
    for (std::size_t at = colon + 2; at < line.size();) {
      const std::size_t next = std::min(line.find("; ", at), line.size());
      const std::string one = line.substr(at, next - at);
      const std::size_t equals = one.find('=');
      fmt::print("    {:<9} {}\n", one.substr(0, equals), one.substr(equals + 1));
      at = next + 2;
    }
  }
}

void print_floor(const TrainingFlags& flags, const Precision& precision, const Work& step,
                 const DevicePeak& peak) {
  const double rate = precision.compute != DType::kF32      ? peak.half
                      : precision.math == Conv2dMath::kTf32 ? peak.tf32
                                                            : peak.fp32;
  const double arithmetic = 1e3 * (step.conv_flops / rate + step.fp32_flops / peak.fp32);
  const double memory = 1e3 * step.bytes / peak.bytes;
  fmt::print("\nFloor of a training step ({})\n", peak.source);
  fmt::print("  {:<12} {:10.3f} ms   {:.1f} GFLOP of products at {:.1f} {}FLOP/s\n", "arithmetic", arithmetic,
             1e-9 * (step.conv_flops + step.fp32_flops), rate < 1e12 ? 1e-9 * rate : 1e-12 * rate,
             rate < 1e12 ? "G" : "T");
  fmt::print("  {:<12} {:10.3f} ms   {:.2f} GB, each operand of each op once, at {:.0f} GB/s\n", "memory",
             memory, 1e-9 * step.bytes, 1e-9 * peak.bytes);
  const double floor = std::max(arithmetic, memory);
  fmt::print("  the larger of the two is {:.3f} ms: at most {:.0f} images/s\n", floor,
             1e3 * flags.batch_size / floor);
}

}  // namespace

TrainingPlan plan_training(const TrainingFlags& flags, Device& plans, const Dataset& data,
                           const SubsetChoice* subset) {
  auto owned = std::make_unique<PlanningDevice>(plans);
  PlanningDevice& device = *owned;
  TrainingSetup setup(flags, std::move(owned), data);
  Trainer trainer(device, setup.stream(), setup.net(), setup.pool(), setup.train_set(),
                  train_options(flags, setup, subset));
  setup.pool().place();
  device.work() = {};
  trainer.step();
  return {.convolutions = trainer.plans(),
          .memory = memory_rows(device, setup, trainer),
          .memory_bytes = device.allocated_bytes(),
          .step = device.work()};
}

std::string out_of_memory_sentence(const TrainingFlags& flags, Device& plans, const Dataset& data,
                                   const SubsetChoice* subset, const OutOfMemory& error) {
  const double needed = mib(plan_training(flags, plans, data, subset).memory_bytes);
  if (error.available() == 0)
    return fmt::format("{}; a batch of {} needs {:.0f} MiB in all (--batch_size)", error.what(),
                       flags.batch_size, needed);
  const std::int32_t batch = largest_batch(flags, plans, data, subset, error.available());
  const std::string head =
      fmt::format("not enough memory on {}: a batch of {} needs {:.0f} MiB in all, and {:.0f} MiB can be had",
                  plans.description(), flags.batch_size, needed, mib(error.available()));
  if (batch == 0) return head + "; no batch fits: use a narrower net (--width) or another precision";
  return fmt::format("{}; the largest batch that fits is {} (--batch_size)", head, batch);
}

int print_training_plan(const TrainingFlags& flags,
                        const std::function<SubsetChoice(const Dataset&)>& choose) {
  const std::unique_ptr<Device> device = planned_device(flags);
  const Dataset data = planned_data(flags);
  std::optional<SubsetChoice> subset;
  if (choose) subset = choose(data);
  const TrainingPlan plan = plan_training(flags, *device, data, subset ? &*subset : nullptr);
  fmt::print("{}, width {}, batch {}, {} on {}\n", flags.arch, flags.width, flags.batch_size, flags.precision,
             device->description());
  for (const std::string& note : data.notes) fmt::print("{}\n", note);
  for (const std::string& note : device->notes()) fmt::print("{}\n", note);
  fmt::print("\nConvolutions, with what serves each direction{}\n",
             device->kind() == DeviceKind::kCuda ? " (cuDNN's engine, its notes, its workspace)" : "");
  print_convolutions(plan.convolutions);
  fmt::print("\nMemory, MiB\n");
  for (const auto& [what, bytes] : plan.memory) fmt::print("  {:<58} {:10.2f}\n", what, mib(bytes));
  fmt::print("  {:<58} {:10.2f}\n", "all", mib(plan.memory_bytes));
  if (device->kind() == DeviceKind::kCuda)
    fmt::print("  cuBLAS takes 64 MiB more, the CUDA context some hundred; the GPU has {:.0f} in all\n",
               mib(device->peak().memory_bytes));
  if (device->kind() == DeviceKind::kSimt)
    fmt::print("\nThe device simt executes kernels thread by thread: no floor means anything for it\n");
  else
    print_floor(flags, parse_precision(flags.precision, device->kind()), plan.step,
                device->kind() == DeviceKind::kCpu ? measured_peak(*device) : device->peak());
  return 0;
}

}  // namespace tdds
