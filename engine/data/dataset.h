#pragma once
// Labelled image sets: their contents, their origin, and how their rows relate to the original files. Images
// are uint8 [N,H,W,3] (rows of pixels, red green blue), labels int32 [N] in 0 .. classes - 1.
//
// A sample has two numbers. Its row is its place among the training samples of a run, 0 .. N-1. Arrays [N],
// dynamics, masks and scores are indexed by it, and so are kernels, which call it the sample id. Its id,
// Dataset::train_ids[row], is its place in the data set's own file (CIFAR's batches one after the other) or
// in the list of its files (engine/data/image_listing.h). The two differ if samples before it were left out
// by val_fraction, skip_bad, or max_train_samples of folder and npy.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/corruption.h"
#include "engine/data/image_source.h"
#include "engine/data/manifest.h"
#include "engine/io/download.h"

namespace tdds {

struct ImageSet {
  int height = 0, width = 0;
  std::vector<std::uint8_t> images;                // [N,H,W,3]; empty if the images stay on the disk
  std::vector<std::int32_t> labels;                // [N]
  std::shared_ptr<const ImageSource> source = {};  // the images that stay on the disk, else null

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t image_bytes() const { return std::int64_t{3} * height * width; }
  // Copies the pixels of `row`, [H,W,3], from memory or from the disk.
  void read_image(std::int64_t row, std::uint8_t* out) const;
};

// What `shapes`, `label_noise` or `corrupt` changed in the training rows. Every vector is [N] by row.
struct GroundTruth {
  std::vector<std::int32_t> true_labels;
  std::vector<std::uint8_t> wrong_label;   // 1 if the given label is not the true one
  std::vector<std::int32_t> duplicate_of;  // id of the original of a near-duplicate, else -1
  std::vector<float> difficulty;           // shapes: 0 (plain) .. 1 (small, noisy, occluded); else empty
  std::vector<std::uint8_t> corruption;    // 0: none, else 1 + the image's Corruption (corruption.h)
};

struct Dataset {
  std::string name;
  ImageSet train, test;
  std::optional<ImageSet> validation;   // held out of the training rows by val_fraction, or read from npy
  std::vector<std::int32_t> train_ids;  // [N] id of each train row, ascending
  int classes = 0;
  std::vector<std::string> class_names;                  // [classes]
  std::array<float, 3> mean{}, std{};                    // per channel, in units of pixel / 255
  std::optional<GroundTruth> truth;                      // set if labels or images were changed on purpose
  std::string fingerprint;                               // fingerprint_of(train)
  std::string test_fingerprint, validation_fingerprint;  // likewise; empty if nothing is held out
  std::vector<std::string> train_files;  // folder: path below train/ by id, with bad and held-out files
  Manifest manifest;                     // folder: the file of every train row; else empty
  Manifest test_manifest, validation_manifest;  // folder: likewise
  std::vector<std::string> notes;  // sentences to show the user, e.g. a file that is shorter than usual
};

struct DatasetOptions {
  std::string name;  // cifar10 | cifar100 | shapes | folder | npy
  // cifar: the folder to search, with its sub-folders, or an archive. folder: the folder that holds train/.
  // npy: the folder that holds train_images.npy, or an .npz.
  std::string data_path;
  bool download = false;           // fetch the official archive into data_path if nothing is found there
  std::string download_url = {};   // folder of the archives, e.g. file:///mirror; empty: the official one
  std::string download_md5 = {};   // of the archive there; empty: that of the official one
  DownloadProgress progress = {};  // of a download in bytes, of decoding in images; may be empty
  // Number of training rows to keep; 0 keeps all. These are the first rows; for folder and npy, each class's
  // share, drawn by the seed.
  std::int64_t max_train_samples = 0;
  // Share of each class's training rows to hold out, 0 <= f < 1; a class of two or more keeps at least one.
  double val_fraction = 0;
  std::uint64_t seed = 42;  // of all draws
  std::int64_t shapes_train = 5000, shapes_test = 1000;
  double wrong_label_fraction = 0.1;  // shapes: share of the training rows with a wrong label
  double duplicate_fraction = 0.05;  // shapes: share of the training rows that are near-duplicates of another
  int image_size = 32;               // folder: side of the decoded images
  bool exif_rotate = false;          // folder: turn images upright as their EXIF data say
  std::string cache_dir = {};        // folder: the folder of the caches of decoded images; empty: no cache
  // folder: images that need more memory stay in the cache; npz: they are refused. 0: half of the machine's.
  double memory_gib = 0;
  double label_noise = 0;                // share of the training rows that get another label, drawn uniformly
  std::vector<Corruption> corrupt = {};  // one is drawn for each corrupted image
  double corrupt_fraction = 0.2;         // share of the training images to corrupt
  bool skip_bad = false;                 // folder: leave damaged images out, with a note, instead of stopping
  std::vector<float> channel_mean = {},
                     channel_std = {};  // 3 each, in units of pixel / 255; empty: the data set's own
  // Called with a sentence before long work begins; may be empty.
  std::function<void(const std::string&)> announce = {};
  // Called many times a second while files are listed, hashed or decoded or images are drawn, and about once
  // a second during a download. It may throw to end the work; finished work is kept. May be empty.
  std::function<void()> poll = {};
};

// The values of DatasetOptions::name.
std::vector<std::string> dataset_names();

// Reads or draws the data set. Throws UsageError for an option out of range or an unknown name. Throws Error
// for files that are missing or damaged, with the file's name and how to fix it.
Dataset load_dataset(const DatasetOptions& options);

// sha256 (hex) over height, width, count, the images, then the labels; every number as a little-endian int64.
// For images that stay on the disk, their checksums take the place of the pixels.
std::string fingerprint_of(const ImageSet& set);

}  // namespace tdds
