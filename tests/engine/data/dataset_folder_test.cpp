#include "engine/data/dataset_folder.h"

#include <gtest/gtest.h>

#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"
#include "tests/engine/image_files.h"
#include "tests/engine/load_error.h"

namespace tdds {
namespace {

std::string png(int seed) {
  return png_bytes(test_pixels(seed, 8, 8), 8, 8);
}

Files small_tree() {
  return {{"train/cat/b.png", png(1)},      {"train/cat/a.PNG", png(2)}, {"train/cat/deep/c.png", png(3)},
          {"train/dog/x y é.png", png(4)},  {"train/dog/notes.txt", ""}, {"train/.hidden/z.png", png(9)},
          {"train/dog/.thumb.png", "junk"}, {"val/cat/1.png", png(5)},   {"val/dog/1.png", png(6)}};
}

DatasetOptions options_for(const TemporaryFolder& scratch) {
  DatasetOptions options;
  options.name = "folder";
  options.data_path = scratch.str();
  options.image_size = 8;
  return options;
}

std::vector<std::uint8_t> image_of(const ImageSet& set, std::int64_t row) {
  const auto begin = set.images.begin() + row * set.image_bytes();
  return {begin, begin + set.image_bytes()};
}

TEST(DatasetFolderTest, RowsAreSortedPathsAndClassesSortedFolders) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), small_tree());
  const Dataset dataset = load_dataset(options_for(scratch));
  EXPECT_EQ(dataset.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(dataset.train_files,
            (std::vector<std::string>{"cat/a.PNG", "cat/b.png", "cat/deep/c.png", "dog/x y é.png"}));
  EXPECT_EQ(dataset.train.labels, (std::vector<std::int32_t>{0, 0, 0, 1}));
  EXPECT_EQ(dataset.train_ids, (std::vector<std::int32_t>{0, 1, 2, 3}));
  const int seeds[] = {2, 1, 3, 4};
  for (int row = 0; row < 4; ++row) EXPECT_EQ(image_of(dataset.train, row), test_pixels(seeds[row], 8, 8));
  EXPECT_EQ(dataset.test.labels, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(image_of(dataset.test, 1), test_pixels(6, 8, 8));
  double sum = 0;
  for (std::size_t i = 0; i < dataset.train.images.size(); i += 3) sum += dataset.train.images[i];
  EXPECT_NEAR(dataset.mean[0], sum / (4 * 64 * 255), 1e-6);
}

TEST(DatasetFolderTest, TheCacheGivesTheSameSet) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), small_tree());
  DatasetOptions options = options_for(scratch);
  const Dataset plain = load_dataset(options);
  options.cache_dir = (scratch.path() / "cache").string();
  EXPECT_EQ(load_dataset(options).fingerprint, plain.fingerprint);
  EXPECT_EQ(load_dataset(options).fingerprint, plain.fingerprint);
}

TEST(DatasetFolderTest, ImagesLeftOnTheDiskAreTheSame) {
  const TemporaryFolder scratch;
  Files files = small_tree();
  files["train/cat/bad.png"] = "";
  for (int i = 0; i < 4; ++i) files["train/dog/" + std::to_string(i) + ".png"] = png(20 + i);
  write_files(scratch.path(), files);
  DatasetOptions options = options_for(scratch);
  options.skip_bad = true;
  options.val_fraction = 0.3;
  options.corrupt = {Corruption::kFog};
  options.corrupt_fraction = 0.5;
  const Dataset memory = load_dataset(options);
  options.memory_gib = 1e-9;
  expect_error(options, "more than is held in memory (`data_memory`): give `cache_dir`");
  options.cache_dir = (scratch.path() / "cache").string();
  for (int round = 0; round < 2; ++round) {
    const Dataset disk = load_dataset(options);
    EXPECT_TRUE(disk.train.images.empty());
    EXPECT_EQ(disk.train_ids, memory.train_ids);
    EXPECT_EQ(disk.train.labels, memory.train.labels);
    EXPECT_EQ(disk.mean, memory.mean);
    EXPECT_EQ(disk.std, memory.std);
    EXPECT_EQ(disk.manifest.hash(), memory.manifest.hash());
    for (std::int64_t row = 0; row < memory.train.count(); ++row) {
      std::vector<std::uint8_t> pixels(8 * 8 * 3);
      disk.train.read_image(row, pixels.data());
      EXPECT_EQ(pixels, image_of(memory.train, row)) << row;
    }
    EXPECT_EQ(disk.validation->count(), memory.validation->count());
    EXPECT_NE(disk.notes[0].find(round == 0 ? "were decoded" : "were taken from"), std::string::npos)
        << disk.notes[0];
    EXPECT_EQ(load_dataset(options).fingerprint, disk.fingerprint);
  }
}

TEST(DatasetFolderTest, HeldOutImagesReplaceAMissingTestSet) {
  const TemporaryFolder scratch;
  Files files = small_tree();
  files.erase("val/cat/1.png");
  files.erase("val/dog/1.png");
  for (int i = 0; i < 4; ++i) files["train/dog/" + std::to_string(i) + ".png"] = png(20 + i);
  write_files(scratch.path(), files);
  DatasetOptions options = options_for(scratch);
  expect_error(options, "holds neither val/ nor test/");
  options.val_fraction = 0.4;
  const Dataset dataset = load_dataset(options);
  EXPECT_EQ(dataset.train.count(), 5);
  EXPECT_EQ(dataset.test.count(), 3);
  EXPECT_EQ(dataset.train_files.size(), 8u);
}

TEST(DatasetFolderTest, BadImagesStopOrLeaveAGapInTheIds) {
  const TemporaryFolder scratch;
  Files files = small_tree();
  files["train/cat/b.png"] = "";
  write_files(scratch.path(), files);
  DatasetOptions options = options_for(scratch);
  expect_error(options, "train/cat/b.png is empty");
  options.skip_bad = true;
  const Dataset dataset = load_dataset(options);
  EXPECT_EQ(dataset.train_ids, (std::vector<std::int32_t>{0, 2, 3}));
  EXPECT_EQ(dataset.train.labels, (std::vector<std::int32_t>{0, 0, 1}));
  EXPECT_EQ(image_of(dataset.train, 1), test_pixels(3, 8, 8));
  ASSERT_EQ(dataset.notes.size(), 5u);
  EXPECT_NE(dataset.notes[1].find("1 of 4 images"), std::string::npos) << dataset.notes[1];
  EXPECT_NE(dataset.notes[3].find("3 files of"), std::string::npos) << dataset.notes[3];
  EXPECT_NE(dataset.notes[4].find("sample ids from 0 on differ"), std::string::npos) << dataset.notes[4];
  EXPECT_EQ(dataset.manifest.files,
            (std::vector<std::string>{"cat/a.PNG", "cat/deep/c.png", "dog/x y é.png"}));
}

TEST(DatasetFolderTest, RejectsInvalidFolderLayouts) {
  const TemporaryFolder scratch;
  DatasetOptions options = options_for(scratch);
  expect_error(options, "train is not a folder");
  write_files(scratch.path(), {{"train/loose.png", png(1)}, {"val/cat/1.png", png(1)}});
  expect_error(options, "holds no class folders, only loose images");
  write_files(scratch.path(), {{"train/cat/1.png", png(1)}, {"train/dog/readme", "x"}});
  expect_error(options, "train/dog holds no image");
  write_files(scratch.path(), {{"train/dog/1.png", png(1)}});
  expect_error(options, "val lacks the class folder 'dog' that train has");
  write_files(scratch.path(), {{"val/dog/1.png", png(1)}, {"val/emu/1.png", png(1)}});
  expect_error(options, "val has the class folder 'emu' that train lacks");
  options.image_size = 4;
  expect_error(options, "`image_size` is 4");
}

}  // namespace
}  // namespace tdds
