#include "apps/cli/dataset_flags.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "apps/cli/interrupt.h"
#include "apps/cli/progress.h"

namespace tdds {
namespace {

FlagTable image_flags(DatasetOptions& options) {
  return {
      {"image_size", &options.image_size,
       "folder: side of the images in pixels, 8 to 1024. Others are scaled until their shorter side fits, "
       "and "
       "cut to the middle. 32 suits networks with the CIFAR stem."},
      {"cache_dir", &options.cache_dir,
       "folder: keep the decoded images here, so that the next run starts at once. Its size is told "
       "beforehand; building it goes on where it was interrupted, and runs that start together share it.",
       FlagScope::kPlace},
      {"data_memory", &options.memory_gib,
       "folder: GiB of images that are held in memory; a set that needs more stays in --cache_dir and is "
       "read a "
       "batch at a time while the step before runs. 0: half of the machine's memory.",
       FlagScope::kStart},
      {"label_noise", &options.label_noise,
       "Share of the training images that get another label, drawn evenly from the other classes by the "
       "seed. "
       "<save_path>/planted.csv names them."},
      {"corrupt", choices(options.corrupt, kCorruptions),
       "Corrupt some training images, each by one of this list: gaussian_noise, occlusion, resolution, fog, "
       "motion_blur."},
      {"corrupt_fraction", &options.corrupt_fraction, "Share of the training images that --corrupt concerns.",
       FlagScope::kResult, "Flags", "corrupt"},
      {"skip_bad", &options.skip_bad,
       "folder: leave out images that cannot be read, and count them, instead of stopping at the first."},
      {"exif_rotate", &options.exif_rotate,
       "folder: turn photographs upright as their EXIF data say; torchvision does not."},
      {"channel_mean", &options.channel_mean,
       "Mean of red, green and blue, a list, 0 to 1. When not given: CIFAR's published ones; of folder and "
       "npy "
       "those of the training images."},
      {"channel_std", &options.channel_std, "Standard deviation of red, green and blue, likewise."}};
}

}  // namespace

FlagTable dataset_flags(DatasetOptions& data) {
  FlagTable flags{
      {"data_path", &data.data_path,
       "Folder of the data set. Of CIFAR also its archive (.tar.gz) or a folder above: binary and python "
       "versions are read. Of folder what holds train/ and val/ or test/, of npy train_images.npy, or an "
       ".npz.",
       FlagScope::kPlace},
      {"dataset", word_choice(data.name, dataset_names()),
       "cifar10, cifar100; folder: train/<class>/*.{jpg,jpeg,png,bmp,ppm,pgm,tga} and val/ or test/ alike "
       "(or --val_fraction), or ILSVRC2012 as it is handed out; npy: {train,val,test}_images.npy, uint8 "
       "[N,H,W,3] or [N,H,W], and {train,val,test}_labels.npy, or an .npz of these; or shapes: drawn by the "
       "program, with wrong labels and near-duplicates planted."},
      {"download", &data.download, "Fetch the official archive into --data_path where no data is found.",
       FlagScope::kStart},
      {"download_url", &data.download_url, "Folder of the archives on another server, or file:///...",
       FlagScope::kStart},
      {"download_md5", &data.download_md5, "MD5 of the archive there, where it is not the official one.",
       FlagScope::kStart},
      {"max_train_samples", &data.max_train_samples,
       "Keep only N training images: the first ones, or of folder and npy each class's share, drawn by "
       "--manualSeed; 0 keeps all."},
      {"val_fraction", &data.val_fraction,
       "Share of each class's training images held out to choose the best epoch by; of two or more one "
       "stays. 0 chooses by test accuracy, as the official code does."}};
  append(flags, image_flags(data));
  append(flags, {{"shapes_train", &data.shapes_train, "shapes: number of training images."},
                 {"shapes_test", &data.shapes_test, "shapes: number of test images."},
                 {"wrong_label_fraction", &data.wrong_label_fraction,
                  "shapes: share of the training images that get a wrong label."},
                 {"duplicate_fraction", &data.duplicate_fraction,
                  "shapes: share of the training images that are near-duplicates of another, 0 to 0.5."}});
  return flags;
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

// On a terminal a bar. Elsewhere a line after a second, then ever rarer ones: hours of work must not fill a
// log.
class ImageBar {
 public:
  void update(std::int64_t done, std::int64_t total) {
    if (!progress_ && done == total) return;  // told twice, or nothing to wait for
    if (!progress_) start(done, total);
    const Clock::time_point now = Clock::now();
    if (output_.terminal || now >= next_line_) {
      progress_->update(done);
      next_line_ = now + std::clamp<Clock::duration>((now - start_) / 2, kShortest, kLongest);
    }
    if (done == total) progress_.reset();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kShortest{1}, kLongest{60};

  void start(std::int64_t done, std::int64_t total) {
    progress_ = std::make_unique<Progress>("reading", total, "images", 1, output_);
    progress_->start_at(done);
    start_ = Clock::now();
    next_line_ = start_ + kShortest;
  }

  ProgressOutput output_ = ProgressOutput::on_stderr();
  std::unique_ptr<Progress> progress_;
  Clock::time_point start_, next_line_;
};

std::string stopped_sentence(const DatasetOptions& options) {
  if (options.name != "folder")
    return "stopped while the data set was loaded; run the same command again to start over";
  if (options.cache_dir.empty())
    return "stopped while the images were read, and none of them is kept; with --cache_dir the next run goes "
           "on where "
           "one stopped";
  return fmt::format(
      "stopped while the images were read; what was decoded is kept in {} (--cache_dir), so run the same "
      "command again "
      "to go on",
      options.cache_dir);
}

}  // namespace

void show_loading(DatasetOptions& options) {
  options.poll = [sentence = stopped_sentence(options)] { heed_interrupt(sentence); };
  options.announce = [](const std::string& sentence) {
    fmt::print("{}\n", with_flag_names(sentence));
    std::fflush(stdout);
  };
  if (options.name != "folder") {
    options.progress = [bar = std::make_shared<DownloadBar>()](std::int64_t received, std::int64_t total) {
      bar->update(received, total);
    };
    return;
  }
  options.progress = [bar = std::make_shared<ImageBar>()](std::int64_t done, std::int64_t total) {
    bar->update(done, total);
  };
}

}  // namespace tdds
