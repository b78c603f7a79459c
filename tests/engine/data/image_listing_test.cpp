#include "engine/image_listing.h"

#include <gtest/gtest.h>

#include "engine/dataset.h"
#include "kernels/check.h"
#include "tests/engine/cifar_files.h"
#include "tests/engine/image_files.h"
#include "tests/engine/load_error.h"

namespace tdds {
namespace {

std::string png(int seed) {
  return png_bytes(test_pixels(seed, 8, 8), 8, 8);
}

Files handed_out() {
  const std::string base = "ILSVRC/Data/CLS-LOC/";
  return {{base + "train/n02/a.JPEG", jpeg_bytes(test_pixels(1, 8, 8), 8, 8)},
          {base + "train/n01/b.JPEG", jpeg_bytes(test_pixels(2, 8, 8), 8, 8)},
          {base + "val/ILSVRC2012_val_00000002.JPEG", jpeg_bytes(test_pixels(3, 8, 8), 8, 8)},
          {base + "val/ILSVRC2012_val_00000001.JPEG", jpeg_bytes(test_pixels(4, 8, 8), 8, 8)},
          {"LOC_val_solution.csv",
           "ImageId,PredictionString\nILSVRC2012_val_00000001,n02 1 2 3 4\nILSVRC2012_val_00000002,n01 5 6 7 "
           "8 n01 1 1 "
           "1 1\n"}};
}

DatasetOptions options_for(const ScratchFolder& scratch) {
  DatasetOptions options;
  options.name = "folder";
  options.data_path = scratch.text();
  options.image_size = 8;
  return options;
}

TEST(ImageListing, ReadsIlsvrc2012AsItIsHandedOut) {
  const ScratchFolder scratch;
  write_files(scratch.path(), handed_out());
  const Dataset dataset = load_dataset(options_for(scratch));
  EXPECT_EQ(dataset.class_names, (std::vector<std::string>{"n01", "n02"}));
  EXPECT_EQ(dataset.train.labels, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(dataset.test.labels, (std::vector<std::int32_t>{1, 0}));
}

TEST(ImageListing, ReadsALooseValWithNumbers) {
  const ScratchFolder scratch;
  write_files(
      scratch.path(),
      {{"train/a/1.png", png(1)}, {"train/b/1.png", png(2)}, {"val/x.png", png(3)}, {"val/y.png", png(4)}});
  const DatasetOptions options = options_for(scratch);
  expect_error(options, "neither LOC_val_solution.csv nor val.txt");
  write_files(scratch.path(), {{"val.txt", "y.png 0\n"}});
  expect_error(options, "val.txt does not give");
  write_files(scratch.path(), {{"val.txt", "y.png 0\nx.png 2\n"}});
  expect_error(options, "/val/x.png a class that train has");
  write_files(scratch.path(), {{"val.txt", "y.png 0\nx.png 1\n"}});
  EXPECT_EQ(load_dataset(options).test.labels, (std::vector<std::int32_t>{1, 0}));
}

TEST(ImageListing, BrokenLinksAreMissedByName) {
  const ScratchFolder scratch;
  write_files(scratch.path(), {{"train/a/1.png", png(1)},
                               {"train/b/1.png", png(2)},
                               {"val/a/1.png", png(3)},
                               {"val/b/1.png", png(4)}});
  std::filesystem::create_symlink("nowhere.png", scratch.path() / "train/a/2.png");
  DatasetOptions options = options_for(scratch);
  expect_error(options, "train/a/2.png cannot be read: it is a broken link");
  options.skip_bad = true;
  options.cache_dir = (scratch.path() / "cache").string();
  EXPECT_EQ(load_dataset(options).train.count(), 2);
}

}  // namespace
}  // namespace tdds
