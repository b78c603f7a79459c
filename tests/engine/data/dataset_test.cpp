#include "engine/data/dataset.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"

namespace tdds {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

DatasetOptions small_shapes() {
  DatasetOptions options;
  options.name = "shapes";
  options.shapes_train = 300;
  options.shapes_test = 20;
  return options;
}

std::vector<std::uint8_t> image_of(const ImageSet& set, std::int64_t row) {
  const auto begin = set.images.begin() + row * set.image_bytes();
  return {begin, begin + set.image_bytes()};
}

// Those of folders and of npy files are loaded by name in their own tests.
TEST(DatasetTest, AreLoadedByName) {
  EXPECT_EQ(load_dataset(small_shapes()).name, "shapes");
  for (const int classes : {10, 100}) {
    const TemporaryFolder scratch;
    write_files(scratch.path(), cifar_form(classes, false));
    DatasetOptions options;
    options.name = fmt::format("cifar{}", classes);
    options.data_path = scratch.str();
    const Dataset dataset = load_dataset(options);
    EXPECT_EQ(dataset.name, options.name);
    EXPECT_EQ(dataset.classes, classes);
    EXPECT_EQ(dataset.train.count(), 10);
  }
  for (const char* name : {"", "cifar", "cifar1000", "imagenet"}) {
    DatasetOptions options = small_shapes();
    options.name = name;
    EXPECT_THAT([&] { load_dataset(options); },
                ThrowsMessage<UsageError>(HasSubstr(fmt::format("there is no data set '{}'", name))));
  }
}

TEST(DatasetTest, TheWholeSetHasItsRowsAsIds) {
  const Dataset dataset = load_dataset(small_shapes());
  ASSERT_EQ(dataset.train_ids.size(), 300u);
  for (std::int32_t row = 0; row < 300; ++row) EXPECT_EQ(dataset.train_ids[row], row);
  EXPECT_FALSE(dataset.validation.has_value());
  EXPECT_EQ(dataset.fingerprint, fingerprint_of(dataset.train));
}

TEST(DatasetTest, MaxTrainSamplesKeepsTheFirstRows) {
  const Dataset whole = load_dataset(small_shapes());
  DatasetOptions options = small_shapes();
  options.max_train_samples = 70;
  const Dataset dataset = load_dataset(options);
  ASSERT_EQ(dataset.train.count(), 70);
  EXPECT_EQ(dataset.truth->difficulty.size(), 70u);
  for (std::int32_t row = 0; row < 70; ++row) {
    EXPECT_EQ(dataset.train_ids[row], row);
    EXPECT_EQ(dataset.train.labels[row], whole.train.labels[row]);
    EXPECT_EQ(image_of(dataset.train, row), image_of(whole.train, row));
  }
  EXPECT_EQ(dataset.test.count(), whole.test.count());
  EXPECT_NE(dataset.fingerprint, whole.fingerprint);
  options.max_train_samples = 301;
  EXPECT_EQ(load_dataset(options).train.count(), 300);
}

TEST(DatasetTest, HoldOutSplitsEveryClassAndKeepsTheIds) {
  const Dataset whole = load_dataset(small_shapes());
  DatasetOptions options = small_shapes();
  options.val_fraction = 0.2;
  const Dataset dataset = load_dataset(options);
  ASSERT_TRUE(dataset.validation.has_value());
  EXPECT_EQ(dataset.train.count() + dataset.validation->count(), 300);
  EXPECT_TRUE(std::is_sorted(dataset.train_ids.begin(), dataset.train_ids.end()));
  for (std::int64_t row = 0; row < dataset.train.count(); ++row) {
    const std::int32_t id = dataset.train_ids[row];
    EXPECT_EQ(dataset.train.labels[row], whole.train.labels[id]);
    EXPECT_EQ(image_of(dataset.train, row), image_of(whole.train, id));
    EXPECT_EQ(dataset.truth->wrong_label[row], whole.truth->wrong_label[id]);
    EXPECT_EQ(dataset.truth->duplicate_of[row], whole.truth->duplicate_of[id]);
    EXPECT_EQ(dataset.truth->true_labels[row], whole.truth->true_labels[id]);
    EXPECT_EQ(dataset.truth->difficulty[row], whole.truth->difficulty[id]);
  }
  const std::set<std::int32_t> kept(dataset.train_ids.begin(), dataset.train_ids.end());
  std::int64_t held = 0;
  for (std::int32_t id = 0; id < 300; ++id)
    if (kept.count(id) == 0) {
      EXPECT_EQ(image_of(*dataset.validation, held++), image_of(whole.train, id));
    }
  EXPECT_EQ(held, dataset.validation->count());
  for (int label = 0; label < 10; ++label) {
    const auto all = std::count(whole.train.labels.begin(), whole.train.labels.end(), label);
    const auto validation =
        std::count(dataset.validation->labels.begin(), dataset.validation->labels.end(), label);
    EXPECT_EQ(validation, std::lround(0.2 * static_cast<double>(all))) << label;
  }
}

TEST(DatasetTest, HoldOutFollowsTheSeedAlone) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), cifar_form(10, false));
  DatasetOptions options;
  options.name = "cifar10";
  options.data_path = scratch.str();
  options.val_fraction = 0.5;  // every class has one image, and a half rounds up
  EXPECT_THAT([&] { load_dataset(options); }, ThrowsMessage<UsageError>(HasSubstr("leaves one side empty")));

  options = small_shapes();
  options.val_fraction = 0.3;
  const Dataset once = load_dataset(options), again = load_dataset(options);
  EXPECT_EQ(once.train_ids, again.train_ids);
  EXPECT_EQ(once.fingerprint, again.fingerprint);
  options.seed = 7;
  EXPECT_NE(load_dataset(options).train_ids, once.train_ids);
}

// Of each class's ten images: 3.5, 4.5 and 6.5. Those fractions are less in float32, and would round down.
TEST(DatasetTest, HoldsOutTheFractionOfEveryClassAndRoundsHalvesUp) {
  DatasetOptions options = small_shapes();
  options.shapes_train = 100;
  options.wrong_label_fraction = 0;
  for (const auto& [fraction, of_class] : {std::pair{0.35, 4}, {0.45, 5}, {0.65, 7}, {0.3, 3}}) {
    options.val_fraction = fraction;
    const std::vector<std::int32_t> held = load_dataset(options).validation->labels;
    for (int label = 0; label < 10; ++label)
      EXPECT_EQ(std::count(held.begin(), held.end(), label), of_class) << fraction << ", class " << label;
  }
}

TEST(DatasetTest, OptionsOutOfRangeAreUsageErrors) {
  const auto with = [](auto change) {
    DatasetOptions options = small_shapes();
    change(options);
    return load_dataset(options);
  };
  EXPECT_THROW(with([](auto& o) { o.val_fraction = 1; }), UsageError);
  EXPECT_THROW(with([](auto& o) { o.val_fraction = -0.1; }), UsageError);
  EXPECT_THROW(with([](auto& o) { o.val_fraction = 1e-6; }), UsageError);
  EXPECT_THROW(with([](auto& o) { o.max_train_samples = -1; }), UsageError);
}

TEST(DatasetTest, TheFingerprintSeesEveryByteAndLabel) {
  const ImageSet set{1, 2, {1, 2, 3, 4, 5, 6}, {7}};
  ImageSet other = set;
  EXPECT_EQ(fingerprint_of(set), fingerprint_of(other));
  other.images[5] = 7;
  EXPECT_NE(fingerprint_of(set), fingerprint_of(other));
  other = set;
  other.labels[0] = 8;
  EXPECT_NE(fingerprint_of(set), fingerprint_of(other));
  other = set;
  std::swap(other.height, other.width);
  EXPECT_NE(fingerprint_of(set), fingerprint_of(other));
}

// The published CIFAR-100, when TDDS_CIFAR100_DIR names the folder that holds it in any form.
TEST(DatasetTest, TheRealCifar100HasItsPublishedStatistics) {
  const char* folder = std::getenv("TDDS_CIFAR100_DIR");
  if (folder == nullptr) GTEST_SKIP() << "TDDS_CIFAR100_DIR is not set";
  DatasetOptions options;
  options.name = "cifar100";
  options.data_path = folder;
  const Dataset dataset = load_dataset(options);
  EXPECT_TRUE(dataset.notes.empty());
  EXPECT_EQ(dataset.fingerprint, "2b6152ed8f510cefd9ef36c9b566d0ead6b0f58fbecb4a13e70c3544a093d618");
  EXPECT_EQ(dataset.test.count(), 10'000);
  double sum[3] = {};
  for (std::size_t i = 0; i < dataset.train.images.size(); ++i) sum[i % 3] += dataset.train.images[i];
  const double expected[3] = {0.50707516, 0.48654887, 0.44091784};
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(sum[c] / (50'000.0 * 1024 * 255), expected[c], 1e-7);
}

}  // namespace
}  // namespace tdds
