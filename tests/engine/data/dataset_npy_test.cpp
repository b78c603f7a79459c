#include <gtest/gtest.h>

#include "engine/dataset_folder.h"
#include "kernels/check.h"
#include "tests/engine/cifar_files.h"
#include "tests/engine/image_files.h"
#include "tests/engine/load_error.h"

namespace tdds {
namespace {

std::string npy(const std::string& type, const std::string& shape, const std::string& data) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(117, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

std::string as_text(const std::vector<std::uint8_t>& pixels) {
  return {pixels.begin(), pixels.end()};
}

std::string i64(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values)
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(static_cast<std::int64_t>(value) >> (8 * i));
  return bytes;
}

DatasetOptions options_for(const ScratchFolder& scratch) {
  DatasetOptions options;
  options.name = "npy";
  options.data_path = scratch.text();
  return options;
}

Files small_arrays() {
  return {{"train_images.npy", npy("|u1", "4, 5, 6, 3", as_text(test_pixels(1, 6, 20)))},
          {"train_labels.npy", npy("<i8", "4,", i64({0, 1, 2, 1}))},
          {"test_images.npy", npy("|u1", "2, 5, 6, 3", as_text(test_pixels(2, 6, 10)))},
          {"test_labels.npy", npy("|u1", "2,", std::string("\x02\x00", 2))}};
}

TEST(DatasetNpy, ReadsImagesAndLabelsOfSeveralTypes) {
  const ScratchFolder scratch;
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

TEST(DatasetNpy, GreyIsRepeated) {
  const ScratchFolder scratch;
  Files files = small_arrays();
  const auto grey = test_pixels(3, 6, 20, 1);
  files["train_images.npy"] = npy("|u1", "4, 5, 6", as_text(grey));
  write_files(scratch.path(), files);
  const Dataset dataset = load_dataset(options_for(scratch));
  for (std::size_t i = 0; i < grey.size(); ++i)
    for (std::size_t c = 0; c < 3; ++c) ASSERT_EQ(dataset.train.images[3 * i + c], grey[i]);
}

TEST(DatasetNpy, WhatDoesNotFitIsNamed) {
  const ScratchFolder scratch;
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
  with("train_images.npy", npy("|u1", "4, 5, 6, 4", std::string(480, '\0')), "no uint8 array [N,H,W,3]");
  with("test_images.npy", npy("|u1", "2, 6, 6, 3", std::string(216, '\0')), "make them alike");
  with("class_names.txt", "one\n", "names 1 classes where the labels have 3");
  std::filesystem::remove(scratch.path() / "class_names.txt");
  std::filesystem::remove(scratch.path() / "test_images.npy");
  expect_error(options_for(scratch), "holds no test_images.npy");
  std::filesystem::remove(scratch.path() / "train_images.npy");
  DatasetOptions options = options_for(scratch);
  options.val_fraction = 0.5;
  expect_error(options, "train_images.npy");
}

}  // namespace
}  // namespace tdds
