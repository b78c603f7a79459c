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

FlagTable network_flags(TrainConfig& c) {
  FlagTable flags{
      {"arch", word_choice(c.arch, resnet_names()), "The network."},
      {"width", &c.width,
       "Factor on every channel count. On a CPU, 0.25 trains about 8.6 times faster than 1."},
      {"init_weights", &c.init_weights,
       "Start from the weights in this safetensors file. Its tensors have PyTorch's names.", kStart}};
  append(
      flags,
      advanced({{"stem", choice(c.stem, std::array{Stem::kCifar, Stem::kImageNet}),
                 "The first layers. cifar: a 3x3 convolution, the official code's. imagenet: a 7x7 "
                 "convolution of stride 2 and a max-pool, torchvision's. auto: imagenet for images of more "
                 "than 64 pixels."},
                {.name = "init_head",
                 .variable = choice(c.init_head, std::array{Head::kFile, Head::kRandom}),
                 .help = "Where the last layer comes from with --init_weights. random draws it by "
                         "--manualSeed, for a data set with other classes than the file's.",
                 .scope = kStart,
                 .needs = "init_weights"},
                {"crop", choice(c.crop, std::array{Crop::kPadded, Crop::kResized}),
                 "How training images are cropped. padded: at random from the zero-padded image, as the "
                 "official code does. resized: a random box of 8 to 100 % of the area, as for ImageNet. "
                 "auto: resized with ImageNet's stem, else padded."},
                {"crop_size", &c.crop_size,
                 "Side of the network's input in pixels; 0 follows the stem. That is the image's side with "
                 "CIFAR's stem and 7/8 of it with ImageNet's (224 of 256). Evaluation takes the center."},
                {"no_augment", &c.no_augment, "Train without random flips and crops."},
                {"no_shuffle", &c.no_shuffle, "Visit the samples in file order in every epoch."}}));
  return grouped("Network", std::move(flags));
}

FlagTable optimizer_flags(TrainOptions& train) {
  FlagTable flags{
      {"epochs", &train.epochs, "Number of epochs. The learning rate falls over them."},
      {"batch_size", &train.batch, "Images in a step. The last batch of an epoch may be smaller."},
      {"learning_rate", &train.learning_rate, "The highest learning rate."},
      {"momentum", &train.momentum, "Momentum of SGD (Nesterov)."},
      {"decay", &train.weight_decay, "Weight decay, of all parameters."},
      {"manualSeed", &train.seed, "Seed of weights, order and augmentation."}};
  append(
      flags,
      advanced({{"schedule", choice(train.schedule.decay, kDecays),
                 "How the learning rate falls. cosine: to 0 over all epochs, as in the official code. step: "
                 "by the factor --lr_gamma every --lr_step_epochs."},
                {"lr_step_epochs", &train.schedule.step_epochs, "Step schedule: epochs between two falls."},
                {"lr_gamma", &train.schedule.gamma, "Step schedule: the factor of each fall."},
                {"warmup_epochs", &train.schedule.warmup_epochs,
                 "Epochs over which the learning rate first rises from near 0."},
                {"label_smoothing", &train.label_smoothing,
                 "Share of the target that is spread evenly over all classes. Reported losses stay those of "
                 "the label."},
                {"accumulate", &train.accumulate,
                 "Split each batch into this many equal parts and sum their gradients. It serves batches "
                 "that do not fit into memory; batch norm sees the parts."}}));
  return grouped("Optimizer", std::move(flags));
}

FlagTable run_flags(TrainConfig& c) {
  FlagTable flags{
      {"save_path", &c.save_path, "Folder for everything that the run writes.", kStart},
      {"resume", &c.resume,
       "Continue the run in --save_path. A folder without a run starts one. Flags that are not given "
       "keep the values of the run.",
       kStart},
      {"overwrite", &c.overwrite, "Replace the run in --save_path.", kStart},
      {"evaluate", &c.evaluate,
       "Only report the test accuracy. The weights are --init_weights or, by default, those of "
       "the best epoch of the run in --save_path.",
       kStart}};
  append(flags,
         advanced({{"print_freq", &c.print_freq,
                    "Without a terminal, print a line every so many steps. 0 prints none.", kStart},
                   {"checkpoint_minutes", &c.checkpoint_minutes,
                    "Save at least this often, also within an epoch. The end of an epoch is saved too, "
                    "unless the last save took more than 1/20 of the time since.",
                    kStart},
                   {"stop_after_epoch", &c.stop_after_epoch,
                    "Stop after this many epochs, as if interrupted; 0 does not stop. The schedule stays "
                    "that of --epochs.",
                    kStart}}));
  return grouped("Run", std::move(flags));
}

FlagTable device_flags(TrainConfig& c) {
  FlagTable flags{
      {"device", choice(c.device, kDeviceKinds),
       "Where to train. simt runs the CUDA kernels on the CPU, slowly. auto is cuda if this build and "
       "machine have it, else cpu."},
      {"precision", choice(c.precision, kPrecisions),
       "Number format of activations and convolutions. A GPU has all, simt all but tf32, a CPU fp32 and, "
       "with avx512_bf16, bf16. auto is tf32 on a GPU, as in PyTorch's convolutions, and fp32 elsewhere. "
       "fp16 was 1.8 times as fast as tf32 on an H100."},
      {"threads", &c.threads, "CPU threads; 0 uses one per core.", kStart}};
  append(
      flags,
      advanced(
          {{"conv_algo", choice(c.train.algo, kConvAlgos),
            "How a CPU convolves. winograd serves 3x3 filters of stride 1 and needs a quarter of the "
            "multiplications; auto takes the faster one for each layer's shape. bf16 is always direct."},
           {"cudnn_autotune", &c.cudnn_autotune,
            "Time cuDNN's plans and take the fastest. That is the default on a GPU. It takes at most "
            "15 s, and only plans that --plan_cache does not hold are timed. A resumed run and a sweep "
            "keep their plans.",
            kPlace},
           {"no_cudnn_autotune", &c.no_cudnn_autotune,
            "Take cuDNN's first proposal instead. It is the same in every run with one cuDNN on GPUs of one "
            "kind.",
            kPlace},
           {"plan_cache", &c.plan_cache,
            "File that keeps timed plans between runs. Default: tdds/cudnn_plans.txt in the user's "
            "cache folder. On a GPU the same bits need the same plans.",
            kStart},
           {"debug_sync", &c.debug_sync,
            "Wait after every command, so that an error names its op and layer. This is slow.", kStart},
           {"gpu", &c.gpu,
            "Number of the GPU to use, in the driver's order. It changes no result on GPUs of one kind.",
            kStart},
           {"ngpu", &c.ngpu,
            "Number of GPUs; 0 is the CPU. Above 1, mpirun starts as many processes, and each computes a "
            "part of every batch (docs/cluster.md).",
            kStart},
           {"sync_batchnorm", &c.sync_batchnorm,
            "With several ranks: batch norm takes the statistics of the whole batch. By default it sees the "
            "part of its rank."},
           {"workers", &c.workers, "Ignored. Official command lines have it.", kStart}}));
  return grouped("Device", std::move(flags));
}

}  // namespace

FlagTable training_flags(TrainConfig& config) {
  FlagTable flags = dataset_flags(config.data);
  append(flags, network_flags(config));
  append(flags, optimizer_flags(config.train));
  append(flags, run_flags(config));
  append(flags, device_flags(config));
  append(flags, config_flags(config.files));
  return flags;
}

FlagTable planning_flags(TrainConfig& config) {
  const std::vector<std::string> targets = offline_gpus();
  const std::string offline =
      targets.empty() ? "This build has no CUDA."
                      : fmt::format("It need not be in this machine: {}, or native for the one that is.",
                                    fmt::join(targets, ", "));
  FlagTable flags{
      {"dry_run", &config.dry_run, "Only print memory, plans and the least time of a step.", kStart}};
  append(
      flags,
      advanced({{"ranks", &config.ranks, "With --dry_run: plan one of this many processes.", kStart},
                {"link_bandwidth", &config.link_bandwidth,
                 "With --dry_run and --ranks: what a rank sends and receives per second, in GB/s.", kStart},
                {"target", &config.target,
                 fmt::format("With --dry_run: the GPU to plan for. {} With --kernel_report: the "
                             "architecture of the registers, by default sm_90.",
                             offline),
                 kStart},
                {"kernel_report", &config.kernel_report,
                 "With --device simt: print what each kernel did. The table has sectors a request, "
                 "bank conflicts, active lanes, barriers and more; docs/measuring.md explains it.",
                 kStart}}));
  return grouped("Device", std::move(flags));
}

FlagTable dynamics_flags(TrainConfig& config) {
  FlagTable flags{{"dynamics", &config.dynamics,
                   "Record each sample's dynamics for tdds-score. They are written to "
                   "<save_path>/dynamics.tdds, 25 bytes per sample and epoch."}};
  append(flags,
         advanced({{"dynamics_npy", &config.dynamics_npy,
                    "Also write the official <save_path>/npy/<epoch>_{Loss,Output,Index}.npy. Implies "
                    "--dynamics."},
                   {"dynamics_features", &config.dynamics_features,
                    fmt::format("Also record features, for {} and {}. The first needs their lengths in every "
                                "epoch; the second needs <save_path>/features.safetensors, written when "
                                "training is done. Implies --dynamics.",
                                names_of(needs_feature_norm), names_of(needs_finished_net))},
                   {"dynamics_fields", choices(config.dynamics_fields, all_dynamics_fields()),
                    "Fields of dynamics.tdds; by default all but the last. kl alone takes 4 bytes and is all "
                    "that tdds needs."}}));
  append(flags, online_score_flags(config.score));
  return grouped("Dynamics", std::move(flags));
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
      {"--ngpu", static_cast<double>(config.ngpu)},
      {"--workers", config.workers}};
  check_usage(config.ranks >= 1 && config.ranks <= 65536, "--ranks is {}; give 1 to 65536", config.ranks);
  check_usage(config.ranks == 1 || config.dry_run,
              "--ranks {} plans a training with --dry_run; --ngpu or mpirun starts one", config.ranks);
  check_usage(config.ngpu <= 1 || !config.dry_run,
              "--ngpu {0} starts {0} processes, and --dry_run only plans: give --ranks {0} instead",
              config.ngpu);
  check_usage(config.link_bandwidth > 0 && std::isfinite(config.link_bandwidth),
              "--link_bandwidth is {}; give GB/s above 0", config.link_bandwidth);
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
