#include "engine/data/cifar.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/io/files.h"
#include "engine/io/hash.h"
#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"

namespace tdds {
namespace {

DatasetOptions options_for(int classes, const std::filesystem::path& data_path) {
  DatasetOptions options;
  options.name = classes == 100 ? "cifar100" : "cifar10";
  options.data_path = data_path.string();
  return options;
}

void expect_rows(const ImageSet& set, int first, int rows, int classes) {
  ASSERT_EQ(set.count(), rows);
  ASSERT_EQ(set.height, 32);
  ASSERT_EQ(set.images.size(), static_cast<std::size_t>(rows) * 3072);
  std::size_t at = 0;
  for (int id = first; id < first + rows; ++id) {
    EXPECT_EQ(set.labels[id - first], cifar_label(id, classes));
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x)
        for (int c = 0; c < 3; ++c)
          ASSERT_EQ(set.images[at++], cifar_value(id, c, y, x)) << id << c << y << x;
  }
}

void expect_small_set(const DatasetOptions& options, int classes) {
  const Dataset dataset = load_cifar(options);
  EXPECT_EQ(dataset.classes, classes);
  expect_rows(dataset.train, 0, 10, classes);
  expect_rows(dataset.test, 100, 4, classes);
  ASSERT_EQ(dataset.class_names.size(), static_cast<std::size_t>(classes));
  EXPECT_EQ(dataset.class_names.back(), "name " + std::to_string(classes - 1));
  ASSERT_FALSE(dataset.notes.empty());
  EXPECT_NE(dataset.notes.back().find("10 training and 4 test images"), std::string::npos)
      << dataset.notes.back();
}

void expect_error(const DatasetOptions& options, const std::vector<std::string>& parts) {
  try {
    load_cifar(options);
    ADD_FAILURE() << "accepted; expected: " << parts.front();
  } catch (const Error& error) {
    for (const std::string& part : parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

class CifarFormsTest : public ::testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(CifarFormsTest, AreFoundInAndBelowTheDataPath) {
  const auto [classes, pickled] = GetParam();
  const TemporaryFolder scratch;
  write_files(scratch.path() / "some" / "data", cifar_form(classes, pickled));
  for (const auto& path : {scratch.path() / "some" / "data", scratch.path() / "some"})
    expect_small_set(options_for(classes, path), classes);
  const std::string first = cifar_form(classes, pickled).begin()->first;
  const auto folder = scratch.path() / "some" / "data" / first.substr(0, first.find('/'));
  expect_small_set(options_for(classes, folder), classes);
}

TEST_P(CifarFormsTest, AreReadFromAnArchive) {
  const auto [classes, pickled] = GetParam();
  const TemporaryFolder scratch;
  const std::string name =
      std::string(classes == 100 ? "cifar-100" : "cifar-10") + (pickled ? "-python" : "-binary") + ".tar.gz";
  write_tar_gz(scratch.path() / name, cifar_form(classes, pickled));
  expect_small_set(options_for(classes, scratch.path()), classes);
  std::filesystem::rename(scratch.path() / name, scratch.path() / "mine.tgz");
  expect_small_set(options_for(classes, scratch.path() / "mine.tgz"), classes);
  const Dataset dataset = load_cifar(options_for(classes, scratch.path() / "mine.tgz"));
  ASSERT_EQ(dataset.notes.size(), 2u);
  EXPECT_NE(dataset.notes[0].find("mine.tgz is not the official archive"), std::string::npos)
      << dataset.notes[0];
}

TEST_P(CifarFormsTest, AMissingFileIsNamed) {
  const auto [classes, pickled] = GetParam();
  const TemporaryFolder scratch;
  Files files = cifar_form(classes, pickled);
  // The last file has the test rows or, for pickled CIFAR-100, the training rows.
  const auto lost = std::prev(files.end());
  const std::string name = lost->first.substr(lost->first.find('/') + 1);
  files.erase(lost);
  write_files(scratch.path(), files);
  expect_error(options_for(classes, scratch.path()),
               {scratch.str(), "lacks " + name, "`data_path`", "`download`"});
}

TEST_P(CifarFormsTest, EveryTruncationIsAnError) {
  const auto [classes, pickled] = GetParam();
  const TemporaryFolder scratch;
  Files files = cifar_form(classes, pickled);
  const auto file = std::find_if(files.begin(), files.end(),
                                 [](const auto& f) { return f.first.find("test") != std::string::npos; });
  const std::string whole = file->second;
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{100}, whole.size() / 2 + 1, whole.size() - 1}) {
    file->second = whole.substr(0, length);
    write_files(scratch.path(), files);
    expect_error(options_for(classes, scratch.path()), {(scratch.path() / file->first).string()});
    if (::testing::Test::HasFailure()) break;
  }
}

INSTANTIATE_TEST_SUITE_P(All, CifarFormsTest,
                         ::testing::Combine(::testing::Values(10, 100), ::testing::Bool()));

TEST(CifarTest, ALabelOutOfRangeNamesItsRow) {
  const TemporaryFolder scratch;
  Files files = cifar_form(100, false);
  files["cifar-100-binary/train.bin"][3 * 3074 + 1] = 100;
  write_files(scratch.path(), files);
  expect_error(options_for(100, scratch.path()), {"train.bin", "row 3", "label 100 is not in 0 .. 99"});

  files = cifar_form(10, false);
  files["cifar-10-batches-bin/data_batch_4.bin"][0] = static_cast<char>(255);
  write_files(scratch.path(), files);
  expect_error(options_for(10, scratch.path()), {"data_batch_4.bin", "row 0", "label 255 is not in 0 .. 9"});
}

TEST(CifarTest, RejectsPicklesOfTheWrongContent) {
  const TemporaryFolder scratch;
  Files files = cifar_form(100, true);
  std::string& train = files["cifar-100-python/train"];
  const std::string whole = train;
  const auto expect = [&](const std::string& bytes, const std::string& reason) {
    train = bytes;
    write_files(scratch.path(), files);
    expect_error(options_for(100, scratch.path()), {"cifar-100-python/train", reason});
  };
  expect("cos\nsystem\n(S'touch hostile'\ntR.", "names 'os.system', which is not data and is never called");
  expect("I3\n.", "is not a dict with 'data' and 'fine_labels'");
  expect(cifar_pickle(0, 10, 10), "is not a dict with 'data' and 'fine_labels'");
  expect("(dS'data'\nI1\nsS'fine_labels'\n(lI1\nas.", "not a uint8 array of shape [N, 3072]");
  std::string wide = whole;
  wide.replace(wide.find(std::string("M\x00\x0c", 3)), 3, std::string("M\x00\x0d", 3));
  expect(wide, "shape");
  std::string short_list = whole;
  short_list.erase(short_list.find("K\x03"), 2);
  expect(short_list, "not a list of 10 labels");
  std::string negative = whole;
  negative.replace(negative.find("K\x03"), 2, "J\xff\xff\xff\xff");
  expect(negative, "row 0: the label -1 is not in 0 .. 99");
  std::string text = whole;
  text.replace(text.find("K\x03"), 2, "U\x01z");
  expect(text, "row 0: the label is not an integer");
}

TEST(CifarTest, ClassNamesMustMatchTheNumberOfClasses) {
  const TemporaryFolder scratch;
  Files files = cifar_form(10, false);
  files["cifar-10-batches-bin/batches.meta.txt"] = "cat\ndog\n";
  write_files(scratch.path(), files);
  expect_error(options_for(10, scratch.path()), {"batches.meta.txt", "names 2 classes, but there are 10"});
  std::filesystem::remove(scratch.path() / "cifar-10-batches-bin/batches.meta.txt");
  EXPECT_EQ(load_cifar(options_for(10, scratch.path())).class_names[3], "class 3");
}

TEST(CifarTest, AMissingSetNamesTheFolderAndTheFix) {
  const TemporaryFolder scratch;
  expect_error(options_for(100, scratch.path() / "nowhere"),
               {"cifar100", (scratch.path() / "nowhere").string(), "does not exist", "`download`"});
  expect_error(options_for(100, scratch.path()),
               {scratch.str(), "sub-folders hold none", "cifar-100-python/train", "`data_path`"});
  EXPECT_THROW(load_cifar(options_for(10, "")), UsageError);
  write_files(scratch.path(), {{"cifar-10-binary.tar.gz", "this is not an archive"}});
  expect_error(options_for(10, scratch.path()), {"cifar-10-binary.tar.gz", "not a readable archive"});
  write_tar_gz(scratch.path() / "cifar-10-binary.tar.gz", {{"readme", "empty"}});
  expect_error(options_for(10, scratch.path()), {"does not hold cifar-10-batches-bin/data_batch_1.bin"});
}

TEST(CifarTest, AnArchiveInPartsIsJoined) {
  const TemporaryFolder scratch;
  write_tar_gz(scratch.path() / "whole", cifar_form(100, false));
  const std::string bytes = read_file(scratch.path() / "whole", 1 << 20);
  const std::size_t half = bytes.size() / 2;
  const std::string name = "cifar-100-binary.tar.gz.";
  write_files(scratch.path(), {{name + "00", bytes.substr(0, half)},
                               {name + "01", bytes.substr(half)},
                               {name + "tmp", "of a download that was cut"}});
  expect_small_set(options_for(100, scratch.path()), 100);
  std::filesystem::remove(scratch.path() / (name + "01"));
  expect_error(options_for(100, scratch.path()), {name + "00", "is not a readable archive or is damaged"});
}

// The other files would come before or between the parts.
TEST(CifarTest, PartsOfAnArchiveAreNumberedOrLettered) {
  const TemporaryFolder whole;
  write_tar_gz(whole.path() / "whole", cifar_form(100, false));
  const std::string bytes = read_file(whole.path() / "whole", 1 << 20);
  for (const auto& [first, second] :
       {std::pair{"00", "01"}, {"000", "001"}, {"0000", "0001"}, {"aa", "ab"}, {"09", "10"}, {"az", "za"}}) {
    const TemporaryFolder scratch;
    const std::string name = "cifar-100-binary.tar.gz.";
    for (const char* other : {"", "0", "00000", "000a", "a", "a1", "aa0", "aaa", "-1"})
      write_files(scratch.path(), {{name + other, "no part"}});
    write_files(scratch.path(), {{name + first, bytes.substr(0, 999)}, {name + second, bytes.substr(999)}});
    expect_small_set(options_for(100, scratch.path()), 100);
  }
}

TEST(CifarTest, IsFetchedOnceAndThenFound) {
  const TemporaryFolder scratch;
  const auto mirror = scratch.path() / "mirror", data = scratch.path() / "data";
  std::filesystem::create_directories(mirror);
  write_tar_gz(mirror / "cifar-100-binary.tar.gz", cifar_form(100, false));
  DatasetOptions options = options_for(100, data);
  options.download = true;
  options.download_url = "file://" + mirror.string() + "/";
  options.download_md5 = hash_file(HashKind::kMd5, (mirror / "cifar-100-binary.tar.gz").string());
  std::int64_t seen = 0;
  options.progress = [&](std::int64_t received, std::int64_t) { seen = received; };
  expect_small_set(options, 100);
  EXPECT_EQ(seen, static_cast<std::int64_t>(std::filesystem::file_size(data / "cifar-100-binary.tar.gz")));
  std::filesystem::remove_all(mirror);
  expect_small_set(options, 100);
}

TEST(CifarTest, AFetchedArchiveMustHaveTheOfficialMd5) {
  const TemporaryFolder scratch;
  write_tar_gz(scratch.path() / "cifar-10-binary.tar.gz", cifar_form(10, false));
  DatasetOptions options = options_for(10, scratch.path() / "data");
  options.download = true;
  options.download_url = "file://" + scratch.str();
  expect_error(options, {"has MD5", "c32a1d4ab5d03f1284b67883e8d87530 is expected"});
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path() / "data"));
}

}  // namespace
}  // namespace tdds
