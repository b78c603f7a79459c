#include "apps/cli/dataset_flags.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "apps/cli/interrupt.h"
#include "apps/cli/output.h"
#include "apps/cli/progress.h"

namespace tdds {
namespace {

FlagTable image_flags(DatasetOptions& options) {
  return {
      {.name = "data_memory",
       .variable = &options.memory_gib,
       .help = "Folder: GiB of memory for images. A larger data set stays in --cache_dir, and each batch is "
               "read while the step before it runs. 0 means half of the machine's memory.",
       .scope = FlagScope::kStart},
      {"skip_bad", &options.skip_bad, "Folder: count unreadable images instead of stopping at the first."},
      {"exif_rotate", &options.exif_rotate,
       "Folder: rotate photographs as their EXIF orientation says. Without it they stay as stored, as in "
       "torchvision."},
      {"channel_mean", &options.channel_mean,
       "Mean of red, green and blue, each from 0 to 1. Default: CIFAR's published values; otherwise the mean "
       "of the training images."},
      {"channel_std", &options.channel_std,
       "Standard deviation of red, green and blue, each from 0 to 1. Default: as for --channel_mean."}};
}

FlagTable planted_flags(DatasetOptions& options) {
  return {
      {"label_noise", &options.label_noise,
       "Share of the training images that get a wrong label. The label is drawn from the other classes by "
       "the seed; <save_path>/planted.csv lists the images."},
      {"corrupt", choices(options.corrupt, kCorruptions), "Corruptions for a part of the training images."},
      {.name = "corrupt_fraction",
       .variable = &options.corrupt_fraction,
       .help = "Share of the training images that --corrupt changes.",
       .needs = "corrupt"},
      {"shapes_train", &options.shapes_train, "Shapes: number of training images."},
      {"shapes_test", &options.shapes_test, "Shapes: number of test images."},
      {"wrong_label_fraction", &options.wrong_label_fraction,
       "Shapes: share of the training images that get a wrong label."},
      {"duplicate_fraction", &options.duplicate_fraction,
       "Shapes: share of the training images that nearly duplicate another, 0 to 0.5."}};
}

FlagTable rare_flags(DatasetOptions& data) {
  FlagTable flags{
      {"download_url", &data.download_url, "Folder of the archives on another server. It may be file:///...",
       FlagScope::kStart},
      {"download_md5", &data.download_md5, "MD5 of the archive, if it is not the official one.",
       FlagScope::kStart},
      {"max_train_samples", &data.max_train_samples,
       "Keep only this many training images; 0 keeps all. They are the first ones of CIFAR and shapes, and "
       "an equal share of each class, drawn by --manualSeed, of folder and npy."}};
  append(flags, image_flags(data));
  append(flags, planted_flags(data));
  return advanced(std::move(flags));
}

}  // namespace

FlagTable dataset_flags(DatasetOptions& data) {
  FlagTable flags{
      {"dataset", word_choice(data.name, dataset_names()),
       "The data set. folder: images in train/<class>/ and in val/ or test/ alike, or ILSVRC2012 as "
       "distributed; jpg, png, bmp, ppm, pgm and tga are read. npy: {train,val,test}_images.npy, uint8 "
       "[N,H,W,3] or [N,H,W], and {train,val,test}_labels.npy, or one .npz of these. shapes: images drawn by "
       "the program, with known wrong labels and near-duplicates."},
      {"data_path", &data.data_path,
       "Folder that holds the data set. For CIFAR it may also be the archive (.tar.gz) or a folder above the "
       "batches, of the binary or the python version. For npy it may be an .npz.",
       FlagScope::kPlace},
      {"download", &data.download, "Download CIFAR to --data_path if it is absent.", FlagScope::kStart},
      {"val_fraction", &data.val_fraction,
       "Share of each class held out for validation. The best epoch is chosen by these images; 0 chooses it "
       "by test accuracy, as the official code does. At least one image of a class stays for training."},
      {"image_size", &data.image_size,
       "Folder: side of the images in pixels, 8 to 1024. Other images are scaled until their shorter side "
       "fits, then cropped to the center."},
      {"cache_dir", &data.cache_dir,
       "Folder: where decoded images are kept. The next run starts at once, and an interrupted build of the "
       "cache continues. Its size is printed first; several runs may share it.",
       FlagScope::kPlace}};
  append(flags, rare_flags(data));
  return grouped("Data", std::move(flags));
}

namespace {

// A bar on a terminal; elsewhere a line after each tenth.
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

// A bar on a terminal. Elsewhere a line after one second and then at growing intervals, so that hours of work
// do not fill a log.
class ImageBar {
 public:
  void update(std::int64_t done, std::int64_t total) {
    if (!progress_ && done == total) return;  // reported twice, or nothing to wait for
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
    return "stopped while the images were read, and none of them is kept; with --cache_dir the next run "
           "continues where this one stopped";
  return fmt::format(
      "stopped while the images were read; what was decoded is kept in {} (--cache_dir): run the same "
      "command again to continue",
      options.cache_dir);
}

}  // namespace

void show_loading(DatasetOptions& options) {
  options.poll = [sentence = stopped_sentence(options)] { heed_interrupt(sentence); };
  options.announce = [](const std::string& sentence) {
    print_out("{}\n", with_flag_names(sentence));
    flush_output();
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
