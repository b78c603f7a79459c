#include "apps/dataset_flags.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "apps/progress.h"

namespace tdds {

void declare_image_flags(CLI::App& app, DatasetOptions& options) {
  app.add_option(
      "--image_size", options.image_size,
      "folder: side of the images in pixels, 8 to 1024. Others are scaled until their shorter side fits, "
      "and cut to the middle. 32 suits networks with the CIFAR stem.");
  app.add_option(
      "--cache_dir", options.cache_dir,
      "folder: keep the decoded images here, so that the next run starts at once. Its size is told "
      "beforehand; building it goes on where it was interrupted.");
  app.add_option("--data_memory", options.memory_gib,
                 "folder: GiB of images that are held in memory; a set that needs more stays in --cache_dir "
                 "and is read a "
                 "batch at a time while the step before runs. 0: half of the machine's memory.");
  app.add_option(
      "--label_noise", options.label_noise,
      "Share of the training images that get another label, drawn evenly from the other classes by the seed. "
      "<save_path>/planted.csv names them.");
  CLI::Option* corrupt =
      app.add_option("--corrupt", options.corrupt,
                     "Corrupt some training images, each by one of this list: gaussian_noise, occlusion, "
                     "resolution, fog, motion_blur.")
          ->delimiter(',');
  app.add_option("--corrupt_fraction", options.corrupt_fraction,
                 "Share of the training images that --corrupt concerns.")
      ->needs(corrupt);
  app.add_flag(
      "--skip_bad", options.skip_bad,
      "folder: leave out images that cannot be read, and count them, instead of stopping at the first.");
  app.add_flag("--exif_rotate", options.exif_rotate,
               "folder: turn photographs upright as their EXIF data say; torchvision does not.");
  app.add_option(
         "--channel_mean", options.channel_mean,
         "Mean of red, green and blue, a list, 0 to 1. When not given: CIFAR's published ones; of folder "
         "and npy those of the training images.")
      ->delimiter(',');
  app.add_option("--channel_std", options.channel_std, "Standard deviation of red, green and blue, likewise.")
      ->delimiter(',');
}

namespace {

// On a terminal a bar; elsewhere a line for each tenth.
class DownloadBar {
 public:
  void update(std::int64_t received, std::int64_t total) {
    constexpr std::int64_t kUnit = 1000;
    if (total < kUnit) return;  // not known yet, or nothing to wait for
    const std::int64_t tenth = 10 * received / total;
    if (total != total_) {
      progress_ = std::make_unique<Progress>("downloading", total / kUnit, "kB", 1, output_);
      total_ = total;
      tenth_ = 0;
    }
    if (!progress_) return;
    if (output_.terminal || tenth > tenth_) progress_->update(received / kUnit);
    tenth_ = tenth;
    if (received == total) progress_.reset();
  }

 private:
  ProgressOutput output_ = ProgressOutput::on_stderr();
  std::unique_ptr<Progress> progress_;
  std::int64_t total_ = 0, tenth_ = 0;
};

}  // namespace

void show_loading(DatasetOptions& options) {
  options.announce = [](const std::string& sentence) {
    fmt::print("{}\n", sentence);
    std::fflush(stdout);
  };
  if (options.name != "folder") {
    options.progress = [bar = std::make_shared<DownloadBar>()](std::int64_t received, std::int64_t total) {
      bar->update(received, total);
    };
    return;
  }
  const auto progress = std::make_shared<std::unique_ptr<Progress>>();
  options.progress = [progress](std::int64_t done, std::int64_t total) {
    constexpr std::int64_t kUpdatesALine = 20;
    if (!*progress) *progress = std::make_unique<Progress>("decoding", total, "images", kUpdatesALine);
    (*progress)->update(done);
    if (done == total) progress->reset();
  };
}

}  // namespace tdds
