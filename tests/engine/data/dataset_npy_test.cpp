#include <gtest/gtest.h>

#include <algorithm>

#include "engine/data/dataset_folder.h"
#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"
#include "tests/engine/image_files.h"
#include "tests/engine/load_error.h"
#include "tests/engine/npy_files.h"

namespace tdds {
namespace {

std::string as_text(const std::vector<std::uint8_t>& pixels) {
  return {pixels.begin(), pixels.end()};
}

std::string i64(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values)
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(static_cast<std::int64_t>(value) >> (8 * i));
  return bytes;
}

DatasetOptions options_for(const TemporaryFolder& scratch) {
  DatasetOptions options;
  options.name = "npy";
  options.data_path = scratch.str();
  return options;
}

Files small_arrays() {
  return {{"train_images.npy", npy("|u1", "4, 5, 6, 3", as_text(test_pixels(1, 6, 20)))},
          {"train_labels.npy", npy("<i8", "4,", i64({0, 1, 2, 1}))},
          {"test_images.npy", npy("|u1", "2, 5, 6, 3", as_text(test_pixels(2, 6, 10)))},
          {"test_labels.npy", npy("|u1", "2,", std::string("\x02\x00", 2))}};
}

TEST(DatasetNpyTest, ReadsImagesAndLabelsOfSeveralTypes) {
  const TemporaryFolder scratch;
  Files files = small_arrays();
  write_files(scratch.path(), files);
  const Dataset dataset = load_dataset(options_for(scratch));
  EXPECT_EQ(dataset.train.height, 5);
  EXPECT_EQ(dataset.train.width, 6);
  EXPECT_EQ(dataset.train.images, test_pixels(1, 6, 20));
  EXPECT_EQ(dataset.train.labels, (std::vector<std::int32_t>{0, 1, 2, 1}));
  EXPECT_EQ(dataset.test.labels, (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(dataset.classes, 3);
  EXPECT_EQ(dataset.class_names[2], "class 2");
  write_files(scratch.path(), {{"class_names.txt", "ant\nbee\ncow\n"}});
  EXPECT_EQ(load_dataset(options_for(scratch)).class_names[1], "bee");
}

TEST(DatasetNpyTest, ClassNamesMayComeFromWindows) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), small_arrays());
  write_files(scratch.path(), {{"class_names.txt",
                                "\xEF\xBB\xBF"
                                "ant\r\nbee\r\n\r\ncow"}});
  EXPECT_EQ(load_dataset(options_for(scratch)).class_names, (std::vector<std::string>{"ant", "bee", "cow"}));
}

TEST(DatasetNpyTest, GreyIsRepeated) {
  const auto grey = test_pixels(3, 6, 20, 1);
  for (const char* shape : {"4, 5, 6", "4, 5, 6, 1"}) {
    const TemporaryFolder scratch;
    Files files = small_arrays();
    files["train_images.npy"] = npy("|u1", shape, as_text(grey));
    write_files(scratch.path(), files);
    const Dataset dataset = load_dataset(options_for(scratch));
    for (std::size_t i = 0; i < grey.size(); ++i)
      for (std::size_t c = 0; c < 3; ++c) ASSERT_EQ(dataset.train.images[3 * i + c], grey[i]) << shape;
  }
}

TEST(DatasetNpyTest, RejectsInconsistentArrays) {
  const TemporaryFolder scratch;
  const auto with = [&](const std::string& name, const std::string& bytes, const std::string& reason) {
    Files files = small_arrays();
    files[name] = bytes;
    write_files(scratch.path(), files);
    expect_error(options_for(scratch), reason);
  };
  with("train_labels.npy", npy("<i8", "3,", i64({0, 1, 2})), "3 labels for the 4 images");
  with("train_labels.npy", npy("<i8", "4,", i64({0, -1, 2, 1})), "row 1: the label -1");
  with("train_labels.npy", npy("<f4", "4,", std::string(16, '\0')), "train_labels.npy");
  with("test_labels.npy", npy("|u1", "2,", std::string("\x03\x00", 2)),
       "the label 3, which no training image has");
  with("train_images.npy", npy("<f4", "1, 5, 6, 3", std::string(360, '\0')), "train_images.npy");
  with("train_images.npy", npy("|u1", "4, 5, 6, 4", std::string(480, '\0')), "four channels");
  with("train_images.npy", npy("|u1", "4, 1, 5, 6", std::string(120, '\0')), "channels first");
  with("train_images.npy", npy("|u1", "4, 3, 5, 6", std::string(360, '\0')), "channels first");
  with("train_images.npy", npy("|u1", "4, 2, 5, 6", std::string(240, '\0')), "images need [N,H,W,3]");
  with("train_images.npy", npy("|u1", "4, 5, 6, 2", std::string(240, '\0')), "images need [N,H,W,3]");
  with("test_images.npy", npy("|u1", "2, 6, 6, 3", std::string(216, '\0')), "give both the same size");
  with("class_names.txt", "one\n", "names 1 classes, but the labels have 3");
  std::filesystem::remove(scratch.path() / "class_names.txt");
  std::filesystem::remove(scratch.path() / "test_images.npy");
  expect_error(options_for(scratch), "holds no test_images");
  std::filesystem::remove(scratch.path() / "train_images.npy");
  DatasetOptions options = options_for(scratch);
  options.val_fraction = 0.5;
  expect_error(options, "train_images.npy");
}

// Sorted by class: 60 of class 0, 30 of class 1, 10 of class 3.
Files sorted_arrays() {
  std::string labels = std::string(60, '\0') + std::string(30, '\1') + std::string(10, '\3');
  return {{"train_images.npy", npy("|u1", "100, 2, 2, 3", as_text(test_pixels(1, 2, 200)))},
          {"train_labels.npy", npy("|u1", "100,", labels)},
          {"test_images.npy", npy("|u1", "1, 2, 2, 3", as_text(test_pixels(2, 2, 2)))},
          {"test_labels.npy", npy("|u1", "1,", std::string(1, '\0'))}};
}

bool has_note(const Dataset& dataset, const std::string& note) {
  return std::find(dataset.notes.begin(), dataset.notes.end(), note) != dataset.notes.end();
}

TEST(DatasetNpyTest, MaxTrainSamplesTakesEachClassesShareByTheSeed) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), sorted_arrays());
  DatasetOptions options = options_for(scratch);
  const Dataset whole = load_dataset(options);
  options.max_train_samples = 10;
  const Dataset some = load_dataset(options);
  EXPECT_EQ(some.train.labels, (std::vector<std::int32_t>{0, 0, 0, 0, 0, 0, 1, 1, 1, 3}));
  ASSERT_EQ(some.train_ids.size(), 10u);
  EXPECT_TRUE(std::is_sorted(some.train_ids.begin(), some.train_ids.end()));
  EXPECT_NE(some.train_ids.back(), 9);
  for (std::int64_t row = 0; row < 10; ++row) {
    std::vector<std::uint8_t> here(12), there(12);
    some.train.read_image(row, here.data());
    whole.train.read_image(some.train_ids[row], there.data());
    EXPECT_EQ(here, there);
  }
  EXPECT_TRUE(has_note(
      some, "10 of 100 training images are kept, each class's share drawn by the seed 42: rows are not ids"));
  EXPECT_EQ(load_dataset(options).train_ids, some.train_ids);
  options.seed = 7;
  EXPECT_NE(load_dataset(options).train_ids, some.train_ids);
  options.max_train_samples = 100;
  EXPECT_EQ(load_dataset(options).train_ids, whole.train_ids);
}

TEST(DatasetNpyTest, GapsInTheLabelsAreNamed) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), sorted_arrays());
  EXPECT_TRUE(has_note(load_dataset(options_for(scratch)), "1 of 4 classes has no training image: 2"));
  write_files(scratch.path(), {{"class_names.txt", "ant\nbee\ncow\ndog\n"}});
  EXPECT_TRUE(has_note(load_dataset(options_for(scratch)), "1 of 4 classes has no training image: 2 (cow)"));
  Files files = sorted_arrays();
  files["train_labels.npy"] = npy("|u1", "100,", std::string(99, '\1') + "\x0a");
  write_files(scratch.path(), files);
  std::filesystem::remove(scratch.path() / "class_names.txt");
  EXPECT_TRUE(has_note(load_dataset(options_for(scratch)),
                       "9 of 11 classes have no training image: 0, 2, 3, 4, 5 and 4 more"));
}

TEST(DatasetNpyTest, AHoldOutLeavesOneOfEachClass) {
  const TemporaryFolder scratch;
  Files files = sorted_arrays();
  files["train_labels.npy"] =
      npy("|u1", "100,", std::string(60, '\0') + std::string(37, '\1') + std::string("\2\2\3"));
  write_files(scratch.path(), files);
  DatasetOptions options = options_for(scratch);
  options.val_fraction = 0.9;
  const Dataset dataset = load_dataset(options);
  EXPECT_EQ(std::count(dataset.train.labels.begin(), dataset.train.labels.end(), 2), 1);
  EXPECT_EQ(std::count(dataset.validation->labels.begin(), dataset.validation->labels.end(), 2), 1);
  EXPECT_TRUE(has_note(dataset, "1 of 4 classes has no training image: 3"));
  options.val_fraction = 0.1;
  EXPECT_TRUE(has_note(load_dataset(options), "2 of 4 classes have no held-out image: 2, 3"));
}

}  // namespace
}  // namespace tdds
