#pragma once
// Labelled image sets: what training sees, where it comes from, and how its rows relate to the original
// files. Images are uint8 [N,H,W,3] (rows of pixels, red green blue), labels int32 [N] in 0 .. classes - 1.
//
// A sample has two numbers. Its row is its place among the training samples of a run, 0 .. N-1: arrays [N],
// dynamics, masks and scores count by it, and so do kernels, which call it the sample id. Its id is its place
// in the data set's own file, CIFAR's batches one after the other, or in the list of its files
// (engine/data/image_listing.h):
// Dataset::train_ids[row]. The two differ where samples were left out before it, by val_fraction, skip_bad,
// or max_train_samples of folder and npy.

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
  std::vector<std::uint8_t> images;                // [N,H,W,3]; empty where the images stay on the disk
  std::vector<std::int32_t> labels;                // [N]
  std::shared_ptr<const ImageSource> source = {};  // of the images that stay on the disk, else null

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t image_bytes() const { return std::int64_t{3} * height * width; }
  // The pixels of `row`, [H,W,3], wherever they are.
  void read_image(std::int64_t row, std::uint8_t* out) const;
};

// What was planted in the training rows, by `shapes`, --label_noise or --corrupt; every vector is [N] by row.
struct GroundTruth {
  std::vector<std::int32_t> true_labels;
  std::vector<std::uint8_t> wrong_label;   // 1 where the given label is not the true one
  std::vector<std::int32_t> duplicate_of;  // id of the original of this near-duplicate, -1 where none
  std::vector<float> difficulty;           // shapes: 0 (plain) .. 1 (small, noisy, occluded); else empty
  std::vector<std::uint8_t>
      corruption;  // 0: none, else 1 + the Corruption (engine/data/corruption.h) of the image
};

struct Dataset {
  std::string name;
  ImageSet train, test;
  std::optional<ImageSet> validation;   // held out of the training rows by val_fraction, or npy's own
  std::vector<std::int32_t> train_ids;  // [N] id of each train row, ascending
  int classes = 0;
  std::vector<std::string> class_names;                  // [classes]
  std::array<float, 3> mean{}, std{};                    // per channel, in units of pixel / 255
  std::optional<GroundTruth> truth;                      // where something was planted
  std::string fingerprint;                               // fingerprint_of(train)
  std::string test_fingerprint, validation_fingerprint;  // likewise; empty where nothing is held out
  std::vector<std::string> train_files;  // folder: path below train/ by id, of bad and held-out ones too
  Manifest manifest;                     // folder: the file of every train row; else empty
  Manifest test_manifest, validation_manifest;  // folder: likewise
  std::vector<std::string> notes;  // sentences to show the user, e.g. a file that is shorter than usual
};

struct DatasetOptions {
  std::string name;       // cifar10 | cifar100 | shapes | folder | npy
  std::string data_path;  // the folder searched (itself and its sub-folders), or an archive, for cifar;
                          // the one with train/ for folder, with train_images.npy for npy or an .npz
  bool download = false;  // fetch the official archive into data_path when nothing is found there
  std::string download_url = {};   // folder of the archives, e.g. file:///mirror; empty: the official one
  std::string download_md5 = {};   // of the archive there; empty: that of the official one
  DownloadProgress progress = {};  // of a download in bytes, of decoding in images; may be empty
  // Keep n training rows, the first ones, or of folder and npy each class's share by the seed; 0 keeps all.
  std::int64_t max_train_samples = 0;
  // Share of each class's training rows to hold out, 0 <= f < 1; a class of two or more keeps at least one.
  double val_fraction = 0;
  std::uint64_t seed = 42;  // of both choices and of shapes
  std::int64_t shapes_train = 5000, shapes_test = 1000;
  double wrong_label_fraction = 0.1;  // shapes: share of the training rows with a wrong label
  double duplicate_fraction = 0.05;  // shapes: share of the training rows that are near-duplicates of another
  int image_size = 32;               // folder: side of the decoded images
  bool exif_rotate = false;          // folder: turn images upright as their EXIF data say
  std::string cache_dir = {};        // folder: where decoded images are kept; empty: nowhere
  double memory_gib =
      0;  // folder: images that need more stay in the cache, npz: are refused; 0: half of the machine's
  double label_noise = 0;                // share of the training rows that get another label, drawn evenly
  std::vector<Corruption> corrupt = {};  // one is drawn for each image concerned
  double corrupt_fraction = 0.2;         // share of the training images concerned
  bool skip_bad = false;                 // folder: leave damaged images out, with a note, instead of stopping
  std::vector<float> channel_mean = {},
                     channel_std = {};  // 3 each, in units of pixel / 255; empty: the data set's own
  std::function<void(const std::string&)> announce =
      {};  // told in a sentence of long work before it begins; may be empty
  // Called many times a second while files are listed, hashed or decoded or images are drawn, and about once
  // a second of a download. It may throw to end the work; what is finished is kept. May be empty.
  std::function<void()> poll = {};
};

// What DatasetOptions::name may be.
std::vector<std::string> dataset_names();

// Reads or draws the set. Throws UsageError for an option out of range or an unknown name, Error for files
// that are missing or damaged, naming the file and the mend.
Dataset load_dataset(const DatasetOptions& options);

// sha256 (hex) over height, width, count, the images, then the labels; every number as a little-endian int64.
// Of images that stay on the disk their checksums are taken in place of the pixels.
std::string fingerprint_of(const ImageSet& set);

}  // namespace tdds
