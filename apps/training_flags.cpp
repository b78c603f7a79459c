#include "apps/training_flags.h"

#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>

#include "apps/cli.h"
#include "apps/dataset_flags.h"
#include "kernels/check.h"
#include "kernels/device.h"

namespace tdds {
namespace {

void declare_data_flags(CLI::App& app, TrainingFlags& flags) {
  app.add_option(
      "--data_path", flags.data_path,
      "Folder of the data set. Of CIFAR also its archive (.tar.gz) or a folder above: binary and python "
      "versions are read. Of folder what holds train/ and val/ or test/, of npy train_images.npy.");
  app.add_option(
      "--dataset", flags.dataset,
      "cifar10, cifar100; folder: train/<class>/*.{jpg,jpeg,png,bmp,ppm,tga} and val/ or test/ alike (or "
      "--val_fraction), or ILSVRC2012 as it is handed out; npy: {train,test}_images.npy, uint8 [N,H,W,3] or "
      "[N,H,W], "
      "and {train,test}_labels.npy; or shapes: drawn by the program, with wrong labels and near-duplicates "
      "planted.");
  app.add_flag("--download", flags.download,
               "Fetch the official archive into --data_path where no data is found.");
  app.add_option("--download_url", flags.download_url,
                 "Folder of the archives on another server, or file:///...");
  app.add_option("--download_md5", flags.download_md5,
                 "MD5 of the archive there, where it is not the official one.");
  app.add_option("--max_train_samples", flags.max_train_samples,
                 "Keep only the first N training images; 0 keeps all.");
  app.add_option(
      "--val_fraction", flags.val_fraction,
      "Share of the training images held out to choose the best epoch by; 0 chooses by test accuracy, as "
      "the official code does.");
  declare_image_flags(app, flags.images);
  app.add_option("--shapes_train", flags.shapes_train, "shapes: number of training images.");
  app.add_option("--shapes_test", flags.shapes_test, "shapes: number of test images.");
  app.add_option("--wrong_label_fraction", flags.wrong_label_fraction,
                 "shapes: share of the training images that get a wrong label.");
  app.add_option("--duplicate_fraction", flags.duplicate_fraction,
                 "shapes: share of the training images that are near-duplicates of another, 0 to 0.5.");
  app.add_option(
      "--crop", flags.crop,
      "Augmentation beside the flip: padded (a random crop from the image with zeros around it, the "
      "official code's), resized (a random box of 8 to 100 % of the area, as for ImageNet), or auto: "
      "resized with ImageNet's stem.");
  app.add_option(
      "--crop_size", flags.crop_size,
      "Side of what the network sees, the middle in evaluation. 0: the image's with the CIFAR stem, 7/8 of "
      "it with ImageNet's (224 of 256).");
  app.add_flag("--no_augment", flags.no_augment, "Neither flip nor crop.");
  app.add_flag("--no_shuffle", flags.no_shuffle, "Visit the samples in file order in every epoch.");
}

void declare_net_flags(CLI::App& app, TrainingFlags& flags) {
  app.add_option("--arch", flags.arch, "resnet18, resnet34, resnet50 or resnet101.");
  app.add_option(
      "--stem", flags.stem,
      "How the network begins: cifar (3x3, the official code's), imagenet (7x7 with stride 2 and a "
      "max-pool: torchvision's networks), or auto: imagenet for images of more than 64 pixels.");
  app.add_option("--width", flags.width,
                 "Multiplies every channel count; 0.25 trains about 8.6 times faster on a CPU.");
  app.add_option("--init_weights", flags.init_weights,
                 "Start from this safetensors file with PyTorch's names instead of random weights.");
}

void declare_optimizer_flags(CLI::App& app, TrainingFlags& flags) {
  app.add_option("--epochs", flags.epochs,
                 "Number of epochs, over which the learning rate falls (--schedule).");
  app.add_option("--batch_size", flags.batch_size,
                 "Images a step; the last batch of an epoch may be smaller.");
  app.add_option("--learning_rate", flags.learning_rate,
                 "The highest learning rate: the first step's, or with --warmup_epochs the one it rises to.");
  app.add_option(
      "--schedule", flags.schedule,
      "How the learning rate falls: cosine, step by step to 0 as in the official code, or step: by "
      "--lr_gamma every --lr_step_epochs.");
  app.add_option("--lr_step_epochs", flags.lr_step_epochs, "step: epochs between two falls.");
  app.add_option("--lr_gamma", flags.lr_gamma, "step: the factor of each fall.");
  app.add_option("--warmup_epochs", flags.warmup_epochs,
                 "Epochs over which the learning rate first rises from near 0.");
  app.add_option(
      "--label_smoothing", flags.label_smoothing,
      "Share of the target spread evenly over all classes. Reported losses stay those of the label.");
  app.add_option(
      "--accumulate", flags.accumulate,
      "Split each batch into this many equal parts whose gradients are summed, for batches that do "
      "not fit into memory. Batch norm sees the parts.");
  app.add_option("--momentum", flags.momentum, "Momentum of SGD (Nesterov).");
  app.add_option("--decay", flags.decay, "Weight decay, of all parameters.");
  app.add_option("--manualSeed", flags.manual_seed, "Seed of weights, order and augmentation.")
      ->check(no_negative_seed);
}

void declare_run_flags(CLI::App& app, TrainingFlags& flags) {
  app.add_option("--save_path", flags.save_path,
                 "Folder for checkpoints, logs and everything else the run writes.");
  app.add_option("--print_freq", flags.print_freq,
                 "Print a line every N steps where there is no terminal; 0: none.");
  app.add_flag(
      "--evaluate", flags.evaluate,
      "Only report the test accuracy of --init_weights or, where that is not given, of the best epoch of the "
      "run in --save_path.");
  app.add_flag("--resume", flags.resume,
               "Go on where the run in --save_path stopped; start it where there is none.");
  app.add_flag("--overwrite", flags.overwrite, "Start anew where --save_path already holds a run.");
  app.add_option(
      "--checkpoint_minutes", flags.checkpoint_minutes,
      "Save at least this often, also within an epoch. The end of an epoch is saved in any case, unless the "
      "last save took more than 1/20 of the time since.");
  app.add_option(
      "--stop_after_epoch", flags.stop_after_epoch,
      "Stop after this many epochs, as if interrupted; the schedule stays that of --epochs. 0: never.");
  app.add_option("--device", flags.device,
                 "cpu, cuda, simt (the CUDA kernels on the CPU: slow), or auto: cuda where "
                 "this build and machine have it, else cpu.");
  app.add_option("--precision", flags.precision,
                 "fp32; on a GPU also tf32, fp16 and bf16; on a CPU with avx512_bf16 also bf16.");
  app.add_option(
      "--conv_algo", flags.conv_algo,
      "How a CPU convolves: direct, winograd (3x3 filters with stride 1; a quarter of the "
      "multiplications), or auto: the faster one for each layer, a function of its shape alone. bf16 is "
      "direct always.");
  app.add_flag(
      "--cudnn_autotune", flags.cudnn_autotune,
      "On a GPU: time cuDNN's plans for each convolution and take the fastest, instead of cuDNN's own first "
      "proposal. A resumed run goes on with the plans that it began with.");
  app.add_option("--plan_cache", flags.plan_cache,
                 "File that keeps timed plans between runs; not given: tdds/cudnn_plans.txt in the user's "
                 "cache folder.");
  app.add_flag("--debug_sync", flags.debug_sync,
               "Wait after every command, so that an error names the op and the layer that made it; slow.");
  app.add_option("--threads", flags.threads, "CPU threads; 0 uses one per core.");
  app.add_option("--ngpu", flags.ngpu, "1, or 0 for the CPU. Several GPUs are not used.");
  app.add_option("--workers", flags.workers, "Accepted for the official command lines, and without effect.");
}

}  // namespace

void declare_training_flags(CLI::App& app, TrainingFlags& flags) {
  declare_data_flags(app, flags);
  declare_net_flags(app, flags);
  declare_optimizer_flags(app, flags);
  declare_run_flags(app, flags);
}

void declare_planning_flags(CLI::App& app, TrainingFlags& flags) {
  app.add_flag(
      "--dry_run", flags.dry_run,
      "Only print what the training would take: the convolution plans, the memory, and the time below which "
      "a step cannot come.");
  const std::vector<std::string> targets = described_gpus();
  app.add_option("--target", flags.target,
                 targets.empty()
                     ? "With --dry_run: a GPU to plan for without having it; this build has no CUDA."
                     : fmt::format("With --dry_run: plan for this GPU, which need not be here: {}, or "
                                   "native for the one that is.",
                                   fmt::join(targets, ", ")));
}

void declare_dynamics_flags(CLI::App& app, TrainingFlags& flags) {
  app.add_flag("--dynamics", flags.dynamics,
               "Record every sample's training dynamics into <save_path>/dynamics.tdds, for tdds-score.");
  app.add_flag(
      "--dynamics_npy", flags.dynamics_npy,
      "Also write the official <save_path>/npy/<epoch>_{Loss,Output,Index}.npy; implies --dynamics.");
  app.add_flag("--dynamics_features", flags.dynamics_features,
               "Also record the length of each sample's features, for grand, and when training is done write "
               "the features themselves into <save_path>/features.safetensors, for moderate; implies "
               "--dynamics.");
  app.add_option(
         "--dynamics_fields", flags.dynamics_fields,
         "What dynamics.tdds holds, a list of kl, true_kl, loss, log_other, entropy, el2n, correct and "
         "feature_norm; not given: all but the last, 25 bytes per sample and epoch. kl alone, 4 bytes, is "
         "all "
         "that tdds needs.")
      ->delimiter(',');
  declare_live_score_flags(app, flags.score);
}

bool records_dynamics(const TrainingFlags& flags) {
  return flags.dynamics || flags.dynamics_npy || flags.dynamics_features || !flags.dynamics_fields.empty() ||
         !flags.score.methods.empty();
}

std::vector<DynamicsField> recorded_fields(const TrainingFlags& flags) {
  std::vector<DynamicsField> fields = default_dynamics_fields();
  if (!flags.dynamics_fields.empty()) fields.clear();
  for (const std::string& name : flags.dynamics_fields) {
    const auto field = find_dynamics_field(name);
    check_usage(field.has_value(), "there is no field '{}' (--dynamics_fields); --help lists them", name);
    fields.push_back(*field);
  }
  if (flags.dynamics_features) fields.push_back(DynamicsField::kFeatureNorm);
  std::sort(fields.begin(), fields.end());
  fields.erase(std::unique(fields.begin(), fields.end()), fields.end());
  return fields;
}

void check_training_flags(const TrainingFlags& flags) {
  const std::pair<const char*, double> at_least_zero[] = {
      {"--checkpoint_minutes", flags.checkpoint_minutes},
      {"--stop_after_epoch", static_cast<double>(flags.stop_after_epoch)},
      {"--print_freq", static_cast<double>(flags.print_freq)},
      {"--workers", flags.workers}};
  for (const auto& [flag, value] : at_least_zero)
    check_usage(std::isfinite(value) && value >= 0, "{} is {}; it is a number of at least 0", flag, value);
}

DatasetOptions dataset_options(const TrainingFlags& flags) {
  DatasetOptions options = flags.images;
  options.name = flags.dataset;
  options.data_path = flags.data_path;
  options.download = flags.download;
  options.download_url = flags.download_url;
  options.download_md5 = flags.download_md5;
  options.max_train_samples = flags.max_train_samples;
  options.val_fraction = flags.val_fraction;
  options.seed = flags.manual_seed;
  options.shapes_train = flags.shapes_train;
  options.shapes_test = flags.shapes_test;
  options.wrong_label_fraction = flags.wrong_label_fraction;
  options.duplicate_fraction = flags.duplicate_fraction;
  show_loading(options);
  return options;
}

}  // namespace tdds
