#include "apps/train/train_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "apps/cli/dataset_flags.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"
#include "tdds/methods/method.h"

namespace tdds {
namespace {

using enum FlagScope;

FlagTable augmentation_flags(TrainConfig& c) {
  return {{"crop", choice(c.crop, std::array{Crop::kPadded, Crop::kResized}),
           "Augmentation beside the flip: padded (a random crop from the image with zeros around it, the "
           "official code's), resized (a random box of 8 to 100 % of the area, as for ImageNet), or auto: "
           "resized with ImageNet's stem."},
          {"crop_size", &c.crop_size,
           "Side of what the network sees, the middle in evaluation. 0: the image's with the CIFAR stem, 7/8 "
           "of it with ImageNet's (224 of 256)."},
          {"no_augment", &c.no_augment, "Neither flip nor crop."},
          {"no_shuffle", &c.no_shuffle, "Visit the samples in file order in every epoch."}};
}

FlagTable net_flags(TrainConfig& c) {
  return {{"arch", word_choice(c.arch, resnet_names()), "resnet18, resnet34, resnet50 or resnet101."},
          {"stem", choice(c.stem, std::array{Stem::kCifar, Stem::kImageNet}),
           "How the network begins: cifar (3x3, the official code's), imagenet (7x7 with stride 2 and a "
           "max-pool: torchvision's networks), or auto: imagenet for images of more than 64 pixels."},
          {"width", &c.width, "Multiplies every channel count; 0.25 trains about 8.6 times faster on a CPU."},
          {"init_weights", &c.init_weights,
           "Start from this safetensors file with PyTorch's names instead of random weights.", kStart},
          {.name = "init_head",
           .variable = choice(c.init_head, std::array{Head::kFile, Head::kRandom}),
           .help = "The last layer with --init_weights: file, that file's; or random, drawn by --manualSeed, "
                   "for a data set with other classes than the file's.",
           .scope = kStart,
           .needs = "init_weights"}};
}

FlagTable optimizer_flags(TrainOptions& train) {
  return {
      {"epochs", &train.epochs, "Number of epochs, over which the learning rate falls (--schedule)."},
      {"batch_size", &train.batch, "Images a step; the last batch of an epoch may be smaller."},
      {"learning_rate", &train.learning_rate,
       "The highest learning rate: the first step's, or with --warmup_epochs the one it rises to."},
      {"schedule", choice(train.schedule.decay, kDecays),
       "How the learning rate falls: cosine, step by step to 0 as in the official code, or step: by "
       "--lr_gamma every --lr_step_epochs."},
      {"lr_step_epochs", &train.schedule.step_epochs, "step: epochs between two falls."},
      {"lr_gamma", &train.schedule.gamma, "step: the factor of each fall."},
      {"warmup_epochs", &train.schedule.warmup_epochs,
       "Epochs over which the learning rate first rises from near 0."},
      {"label_smoothing", &train.label_smoothing,
       "Share of the target spread evenly over all classes. Reported losses stay those of the label."},
      {"accumulate", &train.accumulate,
       "Split each batch into this many equal parts whose gradients are summed, for batches that do not fit "
       "into memory. Batch norm sees the parts."},
      {"momentum", &train.momentum, "Momentum of SGD (Nesterov)."},
      {"decay", &train.weight_decay, "Weight decay, of all parameters."},
      {"manualSeed", &train.seed, "Seed of weights, order and augmentation."}};
}

FlagTable run_flags(TrainConfig& c) {
  return {
      {"save_path", &c.save_path, "Folder for checkpoints, logs and everything else the run writes.", kStart},
      {"print_freq", &c.print_freq, "Print a line every N steps where there is no terminal; 0: none.",
       kStart},
      {"evaluate", &c.evaluate,
       "Only report the test accuracy of --init_weights or, where that is not given, of the best epoch of "
       "the "
       "run in --save_path.",
       kStart},
      {"resume", &c.resume,
       "Go on where the run in --save_path stopped; start it where there is none. Flags that are not given "
       "are "
       "as the run was begun.",
       kStart},
      {"overwrite", &c.overwrite, "Start anew where --save_path already holds a run.", kStart},
      {"checkpoint_minutes", &c.checkpoint_minutes,
       "Save at least this often, also within an epoch. The end of an epoch is saved in any case, unless the "
       "last save took more than 1/20 of the time since.",
       kStart},
      {"stop_after_epoch", &c.stop_after_epoch,
       "Stop after this many epochs, as if interrupted; the schedule stays that of --epochs. 0: never.",
       kStart}};
}

FlagTable device_flags(TrainConfig& c) {
  return {
      {"device", choice(c.device, kDeviceKinds),
       "cpu, cuda, simt (the CUDA kernels on the CPU: slow), or auto: cuda where this build and machine have "
       "it, else cpu."},
      {"precision", choice(c.precision, kPrecisions),
       "fp32; on a GPU also tf32, fp16 and bf16; on a CPU with avx512_bf16 also bf16."},
      {"conv_algo", choice(c.train.algo, kConvAlgos),
       "How a CPU convolves: direct, winograd (3x3 filters with stride 1; a quarter of the multiplications), "
       "or auto: the faster one for each layer, a function of its shape alone. bf16 is direct always."},
      {"cudnn_autotune", &c.cudnn_autotune,
       "On a GPU: time cuDNN's plans for each convolution and take the fastest, instead of cuDNN's own first "
       "proposal. A resumed run goes on with the plans that it began with."},
      {"plan_cache", &c.plan_cache,
       "File that keeps timed plans between runs; not given: tdds/cudnn_plans.txt in the user's cache "
       "folder.",
       kStart},
      {"debug_sync", &c.debug_sync,
       "Wait after every command, so that an error names the op and the layer that made it; slow.", kStart},
      {"threads", &c.threads, "CPU threads; 0 uses one per core.", kStart},
      {"ngpu", &c.ngpu, "1, or 0 for the CPU. Several GPUs are not used.", kStart},
      {"workers", &c.workers, "Accepted for the official command lines, and without effect.", kStart}};
}

}  // namespace

FlagTable training_flags(TrainConfig& config) {
  FlagTable flags = dataset_flags(config.data);
  append(flags, augmentation_flags(config));
  append(flags, net_flags(config));
  append(flags, optimizer_flags(config.train));
  append(flags, run_flags(config));
  append(flags, device_flags(config));
  return flags;
}

FlagTable planning_flags(TrainConfig& config) {
  const std::vector<std::string> targets = offline_gpus();
  return {
      {"dry_run", &config.dry_run,
       "Only print what the training would take: the convolution plans, the memory, and the time below which "
       "a step cannot come.",
       kStart},
      {"target", &config.target,
       targets.empty() ? "With --dry_run: a GPU to plan for without having it; this build has no CUDA."
                       : fmt::format("With --dry_run: plan for this GPU, which need not be here: {}, or "
                                     "native for the one that is.",
                                     fmt::join(targets, ", ")),
       kStart}};
}

FlagTable dynamics_flags(TrainConfig& config) {
  FlagTable flags{
      {"dynamics", &config.dynamics,
       "Record every sample's training dynamics into <save_path>/dynamics.tdds, for tdds-score."},
      {"dynamics_npy", &config.dynamics_npy,
       "Also write the official <save_path>/npy/<epoch>_{Loss,Output,Index}.npy; implies --dynamics."},
      {"dynamics_features", &config.dynamics_features,
       fmt::format(
           "Also record the length of each sample's features, for {}, and when training is done write "
           "the features themselves into <save_path>/features.safetensors, for {}; implies "
           "--dynamics.",
           names_of(needs_feature_norm), names_of(needs_finished_net))},
      {"dynamics_fields", choices(config.dynamics_fields, all_dynamics_fields()),
       fmt::format("What dynamics.tdds holds, a list of {}; not given: all but the last, 25 bytes per sample "
                   "and epoch. kl alone, 4 bytes, is all that tdds needs.",
                   fmt::join(words_of(all_dynamics_fields()), ", "))}};
  append(flags, online_score_flags(config.score));
  return flags;
}

bool records_dynamics(const TrainConfig& config) {
  return config.dynamics || config.dynamics_npy || config.dynamics_features ||
         !config.dynamics_fields.empty() || !config.score.methods.empty();
}

std::vector<DynamicsField> recorded_fields(const TrainConfig& config) {
  std::vector<DynamicsField> fields =
      config.dynamics_fields.empty() ? default_dynamics_fields() : config.dynamics_fields;
  if (config.dynamics_features) fields.push_back(DynamicsField::kFeatureNorm);
  std::sort(fields.begin(), fields.end());
  fields.erase(std::unique(fields.begin(), fields.end()), fields.end());
  return fields;
}

void check_config(const TrainConfig& config) {
  const std::pair<const char*, double> at_least_zero[] = {
      {"--checkpoint_minutes", config.checkpoint_minutes},
      {"--stop_after_epoch", static_cast<double>(config.stop_after_epoch)},
      {"--print_freq", static_cast<double>(config.print_freq)},
      {"--workers", config.workers}};
  for (const auto& [flag, value] : at_least_zero)
    check_usage(value >= 0, "{} is {}; it is a number of at least 0", flag, value);
  check_usage(config.init_head == Head::kFile || !config.evaluate,
              "--init_head random is for a training; --evaluate needs the last layer of the file");
}

DatasetOptions dataset_options(const TrainConfig& config) {
  DatasetOptions options = config.data;
  options.seed = config.train.seed;
  show_loading(options);
  return options;
}

}  // namespace tdds
