#include "apps/train/training_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "apps/cli/output.h"
#include "kernels/numerics/mib.h"

namespace tdds {
namespace {

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
    std::size_t bytes = element_size(array.dtype);
    for (const std::int64_t size : array.shape) bytes *= static_cast<std::size_t>(size);
    dynamics += bytes;
  }
  std::vector<std::pair<std::string, std::size_t>> rows{
      {"parameters", weights},
      {"momentum", weights},
      {"gradients, copies in the compute type, running statistics", params.bytes() - 2 * weights},
      {"activations kept for the backward pass or in an evaluation", setup.pool().saved_bytes()},
      {"scratch: gradients of activations, workspace", setup.pool().scratch_bytes()},
      {"data set", data},
      {"dynamics", dynamics}};
  std::size_t sum = 0;
  for (const auto& row : rows) sum += row.second;
  rows.emplace_back("order, learning rates, losses, evaluation", device.allocated_bytes() - sum);
  return rows;
}

// None if the last batch would be a single sample, which cannot be trained on.
std::optional<std::size_t> bytes_of_batch(TrainConfig config, std::int32_t batch, Device& plans,
                                          const Dataset& data, const SubsetChoice* subset) {
  const std::int64_t samples = subset ? static_cast<std::int64_t>(subset->ids.size()) : data.train.count();
  if (samples % std::min<std::int64_t>(batch, samples) == 1) return std::nullopt;
  config.train.batch = batch;
  return plan_training(config, plans, data, subset).memory_bytes;
}

// 0 if not even a batch of 2 fits.
std::int32_t largest_batch(const TrainConfig& config, Device& plans, const Dataset& data,
                           const SubsetChoice* subset, std::size_t available) {
  std::int32_t fits = 0, too_large = config.train.batch;
  while (too_large - fits > 1) {
    std::int32_t batch = fits + (too_large - fits) / 2;
    if (batch < 2) break;
    std::optional<std::size_t> bytes = bytes_of_batch(config, batch, plans, data, subset);
    if (!bytes && batch - 1 > std::max(fits, 1)) bytes = bytes_of_batch(config, --batch, plans, data, subset);
    if (bytes && *bytes <= available)
      fits = batch;
    else
      too_large = batch;
  }
  return fits;
}

// The data set of the flags or, if it is CIFAR and absent, as many black images.
Dataset planned_data(const TrainConfig& config) {
  DatasetOptions options = dataset_options(config);
  options.download = false;
  try {
    return load_dataset(options);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    if (config.data.name != "cifar10" && config.data.name != "cifar100") throw;
    const auto black = [](std::int64_t n) {
      ImageSet set{.height = 32, .width = 32, .images = {}, .labels = {}};
      set.images.resize(static_cast<std::size_t>(n) * 3072);
      set.labels.resize(static_cast<std::size_t>(n));
      return set;
    };
    constexpr std::int64_t kTrain = 50000, kTest = 10000;
    const std::int64_t train =
        config.data.max_train_samples > 0 ? std::min(kTrain, config.data.max_train_samples) : kTrain;
    const auto held_out =
        static_cast<std::int64_t>(std::lround(config.data.val_fraction * static_cast<double>(train)));
    Dataset data;
    data.name = config.data.name;
    data.classes = config.data.name == "cifar10" ? 10 : 100;
    data.train = black(train - held_out);
    data.test = black(kTest);
    if (held_out > 0) data.validation = black(held_out);
    data.notes = {
        fmt::format("planned for the published {} + {} images, since {}", train, kTest, error.what())};
    return data;
  }
}

void print_convolutions(const std::vector<ConvolutionPlan>& plans) {
  for (const auto& [layer, served] : plans) {
    print_out("  {}\n", layer);
    for (const auto& [direction, by] : served) print_out("    {:<9} {}\n", direction, by);
  }
}

void print_floor(const TrainConfig& config, const Precision& precision, const Work& step,
                 const DevicePeak& peak) {
  const Floor floor = floor_of(step, peak, precision.compute, precision.math);
  print_out("\nFloor of a training step ({})\n", peak.source);
  print_out("  {:<12} {:10.3f} ms   {:.1f} GFLOP of products at {:.1f} {}FLOP/s\n", "arithmetic",
            1e3 * floor.arithmetic, 1e-9 * (step.conv_flops + step.fp32_flops),
            floor.rate < 1e12 ? 1e-9 * floor.rate : 1e-12 * floor.rate, floor.rate < 1e12 ? "G" : "T");
  print_out("  {:<12} {:10.3f} ms   {:.2f} GB, each operand of each op once, at {:.0f} GB/s\n", "memory",
            1e3 * floor.memory, 1e-9 * step.bytes, 1e-9 * peak.bytes);
  print_out("  the larger of the two is {:.3f} ms: at most {:.0f} images/s\n", 1e3 * floor.seconds(),
            config.train.batch / floor.seconds());
}

std::string when_gradients_are_exchanged(const TrainConfig& config, std::size_t buckets) {
  if (config.train.accumulate > 1) return "at the end of the step";
  if (config.sync_batchnorm) return "at the end of the backward pass";
  return fmt::format("in {} bucket{} while the rest of the backward pass runs", buckets,
                     buckets == 1 ? "" : "s");
}

void print_exchange(const TrainConfig& config, const TrainingPlan& plan) {
  const PlannedExchange& exchange = plan.exchange;
  const double traffic = least_traffic(exchange, config.ranks);
  print_out("\nExchange of a step among {} ranks\n", config.ranks);
  print_out("  {:<12} {:10.3f} MB   {}\n", "gradients", 1e-6 * static_cast<double>(exchange.summed_bytes),
            when_gradients_are_exchanged(config, plan.buckets));
  print_out("  {:<12} {:10.3f} MB{}\n", "logits", 1e-6 * static_cast<double>(exchange.gathered_bytes),
            config.sync_batchnorm ? "   with the statistics of batch norm" : "");
  print_out("  {:<12} {:10.3f} ms   {:.3f} MB sent and received by each rank, at {} GB/s\n", "network",
            traffic / (1e6 * config.link_bandwidth), 1e-6 * traffic, config.link_bandwidth);
}

}  // namespace

TrainingPlan plan_training(const TrainConfig& config, Device& plans, const Dataset& data,
                           const SubsetChoice* subset) {
  auto owned = std::make_unique<PlanningDevice>(plans);
  PlanningDevice& device = *owned;
  PlannedRanks ranks(config.ranks);
  PlannedExchange exchange;
  TrainingSetup setup(config, std::move(owned), data, config.ranks > 1 ? &ranks : nullptr);
  if (setup.parallel())
    setup.parallel()->connect(std::make_unique<CountingCollectives>(exchange, config.ranks));
  Trainer trainer(device, setup.stream(), setup.net(), setup.pool(), setup.train_set(),
                  train_options(config, setup, subset), setup.parallel());
  setup.pool().place();
  device.work() = {};
  exchange = {};
  trainer.step();
  return {.convolutions = trainer.plans(),
          .memory = memory_rows(device, setup, trainer),
          .memory_bytes = device.allocated_bytes(),
          .step = device.work(),
          .exchange = exchange,
          .buckets = setup.parallel() ? setup.parallel()->buckets() : 0,
          .evaluation_batch = setup.test().batch()};
}

std::string out_of_memory_sentence(const TrainConfig& config, Device& plans, const Dataset& data,
                                   const SubsetChoice* subset, const OutOfMemory& error) {
  const double needed = mib(plan_training(config, plans, data, subset).memory_bytes);
  if (error.available() == 0)
    return fmt::format("{}; a batch of {} needs {:.0f} MiB in all (--batch_size)", error.what(),
                       config.train.batch, needed);
  const std::int32_t batch = largest_batch(config, plans, data, subset, error.available());
  const std::string head = fmt::format(
      "not enough memory on {}: a batch of {} needs {:.0f} MiB in all, and {:.0f} MiB are available",
      plans.description(), config.train.batch, needed, mib(error.available()));
  if (batch == 0) return head + "; no batch fits: use a narrower net (--width) or another precision";
  return fmt::format("{}; the largest batch that fits is {} (--batch_size)", head, batch);
}

int print_training_plan(const TrainConfig& config,
                        const std::function<SubsetChoice(const Dataset&)>& choose) {
  const std::unique_ptr<Device> device = planned_device(config);
  const Dataset data = planned_data(config);
  std::optional<SubsetChoice> subset;
  if (choose) subset = choose(data);
  const TrainingPlan plan = plan_training(config, *device, data, subset ? &*subset : nullptr);
  const PrecisionKind precision = chosen_precision(config, *device);
  print_out("{}, width {}, batch {}, {} on {}\n", config.arch, config.width, config.train.batch,
            to_string(precision), device->description());
  for (const std::string& note : data.notes) print_out("{}\n", with_flag_names(note));
  for (const std::string& note : device->notes()) print_out("{}\n", note);
  print_out("\nConvolutions, with the implementation of each direction{}\n",
            device->kind() == DeviceKind::kCuda ? " (cuDNN's engine, its notes, its workspace)" : "");
  print_convolutions(plan.convolutions);
  if (device->kind() == DeviceKind::kCuda && !config.no_cudnn_autotune)
    print_out("  A training times other plans too, and may choose them; a dry run times nothing\n");
  if (config.ranks > 1)
    print_out("\nAll numbers are those of rank 0, which computes {} images of a batch of {}\n",
              slot_size(config.train.batch, config.ranks), config.train.batch);
  print_out("\nEvaluation in batches of {}\n", plan.evaluation_batch);
  print_out("\nMemory, MiB\n");
  for (const auto& [what, bytes] : plan.memory) print_out("  {:<58} {:10.2f}\n", what, mib(bytes));
  print_out("  {:<58} {:10.2f}\n", "all", mib(plan.memory_bytes));
  if (device->kind() == DeviceKind::kCuda)
    print_out("  the CUDA context takes some hundred MiB more; the GPU has {:.0f} in all\n",
              mib(device->peak().memory_bytes));
  if (device->kind() == DeviceKind::kSimt)
    print_out("\nThe device simt executes kernels thread by thread, so a floor does not apply to it\n");
  else
    print_floor(config, precision_on(device->kind(), precision), plan.step,
                device->peak(static_cast<std::size_t>(plan.step.largest)));
  if (config.ranks > 1) print_exchange(config, plan);
  return 0;
}

}  // namespace tdds
