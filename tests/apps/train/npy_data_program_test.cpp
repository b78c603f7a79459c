// Data sets of .npy arrays and .npz archives: what is accepted, and what is refused with its cause.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/engine/npy_files.h"

namespace tdds::test {
namespace {

using testing::HasSubstr;

constexpr int kSide = 8, kTrain = 40, kTest = 10;

using Arrays = std::vector<std::pair<std::string, std::string>>;  // file name, bytes

template <class T>
std::string labels(int count, const std::string& type, const std::string& shape) {
  std::vector<T> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i % 4);
  return npy(type, shape, bytes_of(values));
}

std::string pixels(int count, int channels = 3) {
  const int bytes = count * kSide * kSide * channels;
  std::vector<std::uint8_t> values(static_cast<std::size_t>(bytes));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * 37 + i / 251);
  return bytes_of(values);
}

std::string images(int count) {
  return npy("|u1", fmt::format("{}, 8, 8, 3", count), pixels(count));
}

Arrays arrays() {
  return {{"train_images.npy", images(kTrain)},
          {"train_labels.npy", labels<std::int64_t>(kTrain, "<i8", "40,")},
          {"test_images.npy", images(kTest)},
          {"test_labels.npy", labels<std::int64_t>(kTest, "<i8", "10,")}};
}

Arrays with_array(Arrays arrays, const std::string& name, const std::string& bytes) {
  for (auto& [other, content] : arrays)
    if (other == name) {
      content = bytes;
      return arrays;
    }
  arrays.emplace_back(name, bytes);
  return arrays;
}

Arrays without(Arrays arrays, const std::string& start) {
  std::erase_if(arrays, [&](const auto& array) { return array.first.starts_with(start); });
  return arrays;
}

Arrays with_val(const Arrays& arrays) {
  return with_array(with_array(arrays, "val_images.npy", images(8)), "val_labels.npy",
                    labels<std::uint8_t>(8, "|u1", "8, 1"));
}

class NpyDataTest : public testing::Test {
 protected:
  std::string in_folder(const Arrays& arrays) {
    std::string path = scratch_ / fmt::format("data{}", count_++);
    std::filesystem::create_directories(path);
    for (const auto& [name, bytes] : arrays)
      std::ofstream(std::filesystem::path(path) / name, std::ios::binary) << bytes;
    return path;
  }
  std::string in_npz(const Arrays& arrays, bool compressed = true) {
    std::string path = scratch_ / fmt::format("data{}.npz", count_++);
    write_zip(path, arrays, compressed);
    return path;
  }
  Outcome train(const std::string& data, const std::vector<std::string>& more = {}) {
    run_ = scratch_ / fmt::format("run{}", count_++);
    return run_tool("tdds-train", with({"--dataset", "npy", "--data_path", data, "--width", "0.03125",
                                        "--batch-size", "20", "--epochs", "1", "--save_path", run_},
                                       more));
  }
  std::string trained(const std::string& data) {
    const Outcome outcome = train(data);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code == 0 ? model_bytes(run_) : "";
  }
  void expect_refused(const std::string& data, const std::vector<std::string>& says) {
    const Outcome outcome = train(data);
    EXPECT_EQ(outcome.exit_code, 1);
    for (const std::string& words : says) EXPECT_THAT(outcome.err, HasSubstr(words));
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
  }
  // The array, in a folder and in an .npz.
  void expect_refused(const std::string& name, const std::string& bytes, const std::string& cause,
                      const std::string& line) {
    for (const std::string& data :
         {in_folder(with_array(arrays(), name, bytes)), in_npz(with_array(arrays(), name, bytes))})
      expect_refused(data, {fmt::format("{}/{}", data, name), cause, line});
  }

  TemporaryFolder scratch_;
  std::string run_;
  int count_ = 0;
};

TEST_F(NpyDataTest, LabelsOfEveryWholeTypeAreTaken) {
  const std::string want = trained(in_folder(arrays()));
  const std::string labels_of_type[] = {
      labels<std::uint8_t>(kTrain, "|u1", "40, 1"),  labels<std::int8_t>(kTrain, "|i1", "40,"),
      labels<std::uint16_t>(kTrain, "<u2", "40, 1"), labels<std::int16_t>(kTrain, "<i2", "40, 1"),
      labels<std::int32_t>(kTrain, "<i4", "40,"),    labels<std::uint32_t>(kTrain, "<u4", "40, 1"),
      labels<std::int64_t>(kTrain, "<i8", "40, 1")};
  for (const std::string& array : labels_of_type)
    EXPECT_TRUE(trained(in_folder(with_array(arrays(), "train_labels.npy", array))) == want)
        << array.substr(0, 90);
}

TEST_F(NpyDataTest, AnNpzTrainsAsTheFolderDoes) {
  const std::string want = trained(in_folder(arrays()));
  EXPECT_TRUE(trained(in_npz(arrays())) == want);
  EXPECT_TRUE(trained(in_npz(arrays(), false)) == want);
}

TEST_F(NpyDataTest, GreyMayHaveAChannel) {
  const Arrays flat =
      with_array(with_array(arrays(), "train_images.npy", npy("|u1", "40, 8, 8", pixels(40, 1))),
                 "test_images.npy", npy("|u1", "10, 8, 8", pixels(10, 1)));
  EXPECT_TRUE(
      trained(in_folder(flat)) ==
      trained(in_folder(with_array(flat, "train_images.npy", npy("|u1", "40, 8, 8, 1", pixels(40, 1))))));
}

// MedMNIST's keys.
TEST_F(NpyDataTest, ValArraysChooseTheBestEpoch) {
  const std::vector<std::string> places{in_folder(with_val(arrays())), in_npz(with_val(arrays()))};
  for (const std::string& data : places) {
    ASSERT_EQ(train(data).exit_code, 0);
    EXPECT_EQ(nlohmann::json::parse(read_text(run_ + "/result.json")).at("chosen_by"), "held-out accuracy");
    const Outcome both = train(data, {"--val_fraction", "0.2"});
    EXPECT_THAT(both.out, HasSubstr("val_images are not used")) << both.err;
  }
  const Outcome no_test = train(in_npz(without(with_val(arrays()), "test_")));
  EXPECT_EQ(no_test.exit_code, 0) << no_test.err;
  EXPECT_THAT(no_test.out, HasSubstr("accuracy is that of val_images"));
  EXPECT_EQ(nlohmann::json::parse(read_text(run_ + "/result.json")).at("chosen_by"), "test accuracy");
}

TEST_F(NpyDataTest, ArraysThatAreNotReadAreNamed) {
  const Outcome outcome = train(in_npz(with_array(arrays(), "extra.npy", images(1))));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("that are not read: extra"));
}

TEST_F(NpyDataTest, ImagesAreRefusedWithTheCause) {
  const std::string file = "train_images.npy";
  expect_refused(file, npy("|u1", "40, 3, 8, 8", pixels(kTrain)), "channels first, [40, 3, 8, 8]",
                 "images = images.transpose(0, 2, 3, 1)");
  expect_refused(file, npy("<f4", "40, 8, 8, 3", std::string(40 * 192 * 4, '\0')), "floats ('<f4')",
                 "images = (images * 255).round().astype(numpy.uint8)");
  expect_refused(file, npy("<f8", "40, 3, 8, 8", std::string(40 * 192 * 8, '\0')), "channels first",
                 "images = images.transpose(0, 2, 3, 1), then images = (images * 255)");
  expect_refused(file, npy("<i8", "40, 8, 8", std::string(40 * 64 * 8, '\0')), "type '<i8'",
                 "images = images.astype(numpy.uint8)");
  expect_refused(file, npy("|b1", "40, 8, 8", std::string(40 * 64, '\0')), "bools",
                 "images = images.astype(numpy.uint8) * 255");
  expect_refused(file, npy("|u1", "40, 8, 8, 4", pixels(kTrain, 4)), "four channels",
                 "images = images[..., :3]");
  expect_refused(file, npy("|u1", "40, 192", pixels(kTrain)), "shape [40, 192]", "[N,H,W,3]");
  expect_refused(file, npy("|u1", "40, 8, 8, 3", pixels(kTrain), "True"), "Fortran order",
                 "images = numpy.ascontiguousarray(images)");
  expect_refused(file, images(kTrain).substr(0, 2000), "truncated", "[40, 8, 8, 3]");
}

TEST_F(NpyDataTest, LabelsAreRefusedWithTheCause) {
  const std::string file = "train_labels.npy";
  expect_refused(file, npy("<f4", "40, 4", std::string(640, '\0')), "4 numbers per image",
                 "labels = labels.argmax(1)");
  expect_refused(file, npy("|u1", "40, 4", std::string(160, '\0')), "4 numbers per image",
                 "labels = labels.argmax(1)");
  expect_refused(file, npy("<f8", "40,", std::string(320, '\0')), "type '<f8'",
                 "labels = labels.astype(numpy.int64)");
  expect_refused(file, npy(">i4", "40, 1", std::string(160, '\0')), "type '>i4'",
                 "labels = labels.astype(numpy.int64)");
  expect_refused(file, npy("|O", "40,", std::string(320, '\0')), "type '|O'", "numbers are expected");
  expect_refused(file, npy("|u1", "", "\1"), "shape []", "[N] or [N,1]");
  expect_refused(file, labels<std::uint8_t>(kTrain, "|u1", "40, 1").substr(0, 160), "truncated", "[40, 1]");
  expect_refused(file, labels<std::uint8_t>(39, "|u1", "39, 1"), "39 labels for the 40 images",
                 "same number");
  std::vector<std::int16_t> negative(kTrain, 0);
  negative[7] = -1;
  expect_refused(file, npy("<i2", "40,", bytes_of(negative)), "row 7: the label -1", "from 0");
}

TEST_F(NpyDataTest, HostileArchivesAreRefused) {
  expect_refused(in_npz(without(arrays(), "train_labels")), {"holds no array train_labels", "train_images"});
  expect_refused(in_npz(without(arrays(), "test_")), {"holds no test_images", "--val_fraction"});
  Arrays twice = arrays();
  twice.emplace_back("train_labels.npy", labels<std::int64_t>(kTrain, "<i8", "40,"));
  expect_refused(in_npz(twice), {"two members called train_labels.npy"});
  const std::string whole = read_text(in_npz(arrays()));
  const std::string path = scratch_ / "damaged.npz";
  std::string flipped = whole;
  flipped[flipped.size() / 2] = static_cast<char>(~flipped[flipped.size() / 2]);
  for (const std::string& bytes : {whole.substr(0, 0), whole.substr(0, 40), whole.substr(0, whole.size() / 2),
                                   flipped, std::string("no archive at all")}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    expect_refused(path, {path});
  }
  // A megabyte of zeros that claims to be 256 TiB of pixels.
  expect_refused(in_npz(with_array(arrays(), "train_images.npy",
                                   npy("|u1", "1099511627776, 8, 8, 3", std::string(1 << 20, '\0')))),
                 {"truncated"});
}

}  // namespace
}  // namespace tdds::test
