#include "apps/train/ranks_of_run.h"

#include <omp.h>

#include <set>

#include "apps/cli/cli.h"
#include "engine/io/json_text.h"
#include "kernels/runtime/isa.h"

namespace tdds {
namespace {

// The configuration of this rank: one GPU of its own, or its share of the cores.
TrainConfig config_of_rank(const TrainConfig& config, Ranks& ranks) {
  check_usage(config.ngpu <= 1 || config.ngpu == ranks.size(),
              "--ngpu is {}, but {} ranks were started: leave --ngpu out, or start as many", config.ngpu,
              ranks.size());
  TrainConfig mine = config;
  mine.ngpu = std::min(config.ngpu, 1);
  const int cores = ranks.share_of_cores();
  if (config.threads == 0) mine.threads = cores;
  if (chosen_kind(mine) == DeviceKind::kCuda) mine.gpu += ranks.place().on_machine;
  return mine;
}

Dataset data_of_rank(const TrainConfig& config, Ranks& ranks) {
  DatasetOptions options = dataset_options(config);
  if (!ranks.first()) {
    options.announce = [](const std::string&) {};
    options.progress = {};
  }
  const auto load = [&] { return load_dataset(options); };
  // Without a cache there is nothing that the first could leave to the others.
  if (options.name == "folder" && options.cache_dir.empty()) return load();
  return ranks.one_by_machine_first(load);
}

}  // namespace

std::unique_ptr<TrainingSetup> set_up_rank(const TrainConfig& config, Ranks& ranks,
                                           const std::function<void(TrainingSetup&)>& plan) {
  const TrainConfig mine = config_of_rank(config, ranks);
  Dataset data = data_of_rank(mine, ranks);
  std::unique_ptr<TrainingSetup> setup;
  const auto make = [&](const std::string& plans) {
    setup = std::make_unique<TrainingSetup>(mine, choose_device(mine, plans), std::move(data), &ranks);
    plan(*setup);
  };
  if (ranks.first()) make("");
  const std::string plans = ranks.broadcast(ranks.first() ? setup->device().pinned_plans() : "");
  if (!ranks.first()) make(plans);
  setup->parallel()->connect(setup->device());
  return setup;
}

void check_ranks_are_alike(Ranks& ranks, const TrainingSetup& setup,
                           const std::map<std::string, std::string>& fingerprint) {
  std::string lines = fmt::format("program: {}\n", version_text());
  if (setup.device().kind() == DeviceKind::kCuda)
    lines += fmt::format("GPU: {}\n", setup.device().description());
  else
    lines += fmt::format("CPU instructions (TDDS_CPU_ISA limits them): {}{}\n", cpu::isa_name(),
                         cpu::multiplies_bf16() ? " with bf16" : "");
  for (const auto& [name, value] : fingerprint)
    if (name != "plans") lines += fmt::format("{}: {}\n", name, line_of(value));
  ranks.check_equal(lines);
}

std::string ranks_sentence(Ranks& ranks, const TrainConfig& config, const Device& device) {
  std::set<std::string> machines;
  for (std::string& machine : ranks.gather(std::to_string(ranks.place().machine)))
    machines.insert(std::move(machine));
  const int threads = omp_get_max_threads();
  const std::string each = device.kind() == DeviceKind::kCuda
                               ? "one GPU"
                               : fmt::format("{} CPU thread{}", threads, threads == 1 ? "" : "s");
  const bool decodes = config.data.name == "folder" && config.data.cache_dir.empty();
  return fmt::format("{} ranks on {} machine{} ({}), each with {} and at most {} images of a batch of {}{}",
                     ranks.size(), machines.size(), machines.size() == 1 ? "" : "s", mpi_version(), each,
                     slot_size(config.train.batch, ranks.size()), config.train.batch,
                     decodes ? "; each decodes all images, which --cache_dir avoids" : "");
}

}  // namespace tdds
