#include "engine/data/image_listing.h"

#include <gtest/gtest.h>

#include "engine/data/dataset.h"
#include "kernels/runtime/check.h"
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

DatasetOptions options_for(const TemporaryFolder& scratch) {
  DatasetOptions options;
  options.name = "folder";
  options.data_path = scratch.str();
  options.image_size = 8;
  return options;
}

TEST(ImageListingTest, ReadsIlsvrc2012AsDistributed) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), handed_out());
  const Dataset dataset = load_dataset(options_for(scratch));
  EXPECT_EQ(dataset.class_names, (std::vector<std::string>{"n01", "n02"}));
  EXPECT_EQ(dataset.train.labels, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(dataset.test.labels, (std::vector<std::int32_t>{1, 0}));
}

TEST(ImageListingTest, ReadsALooseValWithNumbers) {
  const TemporaryFolder scratch;
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

// The text with the line ends of Windows and a byte order mark, as Notepad writes it.
std::string from_windows(const std::string& text) {
  std::string out = "\xEF\xBB\xBF";
  for (const char c : text) out += c == '\n' ? "\r\n" : std::string(1, c);
  return out;
}

TEST(ImageListingTest, ClassesOfALooseValMayComeFromWindows) {
  const TemporaryFolder scratch;
  Files files = handed_out();
  files["LOC_val_solution.csv"] =
      from_windows("ILSVRC2012_val_00000001,n02\nILSVRC2012_val_00000002,n01 5 6\n");
  write_files(scratch.path(), files);
  EXPECT_EQ(load_dataset(options_for(scratch)).test.labels, (std::vector<std::int32_t>{1, 0}));
  std::filesystem::remove(scratch.path() / "LOC_val_solution.csv");
  write_files(
      scratch.path(),
      {{"val.txt", from_windows("ILSVRC2012_val_00000001.JPEG 1\nILSVRC2012_val_00000002.JPEG 0\n")}});
  EXPECT_EQ(load_dataset(options_for(scratch)).test.labels, (std::vector<std::int32_t>{1, 0}));
}

TEST(ImageListingTest, BrokenLinksAreReportedByName) {
  const TemporaryFolder scratch;
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

TEST(ImageListingTest, WithoutReadableImagesTheFirstReasonIsReported) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"train/a/1.png", "text"}, {"train/b/1.png", "text"}});
  DatasetOptions options = options_for(scratch);
  options.val_fraction = 0.5;
  options.skip_bad = true;
  expect_error(options, "holds no readable image: all 2 were left out; the first: " + scratch.str() +
                            "/train/a/1.png is not a readable image (unknown format)");
}

using Names = std::vector<std::string>;

void write_empty(const TemporaryFolder& scratch, const Names& names) {
  Files files;
  for (const std::string& name : names) files[name] = "";
  write_files(scratch.path(), files);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The expected order is that of torchvision's make_dataset, run on this tree by Python 3:
// sorted(os.walk(...)) in each class.
TEST(ImageListingTest, FilesComeInTheOrderOfImageFolder) {
  const Names expected{"Ab/1.PNG",   "ab/a.png",     "ab/b.png",     "ab/z.png",       "ab/a/0.png",
                       "ab/a/1.png", "ab/a b/1.png", "ab/a-b/1.png", "ab/a/sub/1.png", "ab c/1.png",
                       "ab!/1.png",  "ab+/1.png",    "ab-c/1.png",   "abc/10.png",     "abc/2.png",
                       "abc/B.png",  "abc/a.png",    "abc/z.png",    "abc/é.png",      "été/1.png",
                       "日本/1.png", "日本/ｱ.png",   "日本/𝒳.png"};
  const TemporaryFolder scratch;
  write_empty(scratch, expected);
  const ImageListing listing = list_images(scratch.str());
  EXPECT_EQ(listing.files, expected);
  EXPECT_EQ(listing.labels,
            (std::vector<std::int32_t>{0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 7, 8, 8, 8}));
  EXPECT_EQ(listing.class_names, (Names{"Ab", "ab", "ab c", "ab!", "ab+", "ab-c", "abc", "été", "日本"}));
  EXPECT_EQ(listing.not_read, "");
  EXPECT_EQ(listing.different, "");
}

TEST(ImageListingTest, TheEarlierOrderIsRecognised) {
  const TemporaryFolder scratch;
  write_empty(scratch, {"ab/1.png", "ab c/1.png", "ab/z.png", "ab/2.pgm", "ab/.3.png", "@eaDir/x/1.JPG"});
  const ImageListing by_path = list_images_by_path(scratch.str());
  EXPECT_EQ(by_path.files, (Names{"@eaDir/x/1.JPG", "ab c/1.png", "ab/1.png", "ab/z.png"}));
  EXPECT_EQ(by_path.labels, (std::vector<std::int32_t>{0, 2, 1, 1}));
  EXPECT_FALSE(in_image_folder_order(by_path.files));
  EXPECT_TRUE(in_image_folder_order(list_images(scratch.str()).files));
  EXPECT_TRUE(in_image_folder_order({"a/z.png", "a/b/1.png", "b/1.png"}));
  EXPECT_FALSE(in_image_folder_order({"a/b/1.png", "a/z.png", "b/1.png"}));
  EXPECT_TRUE(in_image_folder_order({}));
}

TEST(ImageListingTest, SkippedFilesAreCountedByKind) {
  const TemporaryFolder scratch;
  write_empty(scratch, {"a/1.png", "a/2.webp", "a/deep/3.WebP", "a/4.txt", "a/README", "a/.DS_Store",
                        "a/.git/5.png", "a/x.tar gz", "a/@eaDir/1.png/thumb.jpg", "b/1.pgm", "b/@eaDir/2.jpg",
                        "c.png", ".cache/1.png", "@eaDir/a.jpg"});
  const ImageListing listing = list_images(scratch.str());
  EXPECT_EQ(listing.files, (Names{"a/1.png", "b/1.pgm"}));
  EXPECT_EQ(listing.class_names, (Names{"a", "b"}));
  EXPECT_EQ(listing.not_read, "12 files of " + scratch.str() +
                                  " were not read: 3 hidden, 3 in @eaDir (thumbnails), 2 .webp, 1 .txt, "
                                  "1 beside the class folders, 1 with unusual endings, 1 without an ending");
}

TEST(ImageListingTest, RareKindsAreCountedTogether) {
  const TemporaryFolder scratch;
  write_empty(scratch, {"a/1.png", "a/1.a", "a/1.b", "a/1.c", "a/1.d", "a/1.e", "a/1.f", "a/1.g", "a/1.h",
                        "a/1.i", "a/2.i"});
  EXPECT_TRUE(contains(list_images(scratch.str()).not_read, "10 files of"));
  EXPECT_TRUE(contains(list_images(scratch.str()).not_read, "not read: 2 .i, 1 .a, 1 .b"));
  EXPECT_TRUE(contains(list_images(scratch.str()).not_read, "1 .g, 1 with other endings"));
}

TEST(ImageListingTest, ReportsWhereImageFolderCountsOtherFiles) {
  const auto difference = [](const Names& names) {
    const TemporaryFolder scratch;
    write_empty(scratch, names);
    return list_images(scratch.str()).different;
  };
  EXPECT_EQ(difference({"a/1.png", "a/2.pgm", "b/1.PPM", "b/notes.txt", "b/.DS_Store"}), "");
  EXPECT_TRUE(contains(difference({"a/1.png", "a/2.webp", "a/3.tif", "b/1.png"}), "ids from 1 on differ"));
  EXPECT_TRUE(contains(difference({"a/1.png", "a/2.webp", "a/3.tif", "b/1.png"}), "counts 2 "));
  EXPECT_TRUE(contains(difference({"a/1.png", "a/2.tga", "a/.3.png", "b/1.png"}), "ids from 0 on differ"));
  EXPECT_TRUE(contains(difference({"a/1.png", "a/2.png", "b/1.tga", "b/2.png"}), "ids from 2 on differ"));
  EXPECT_TRUE(contains(difference({"a/1.png", "a/2.png", "b/1.tga", "b/2.png"}), "leaves out 1 "));
  EXPECT_TRUE(contains(difference({"a/1.png", "a/@eaDir/1.jpg", "b/1.png"}), "ids from 1 on differ"));
  EXPECT_TRUE(contains(difference({"a/1.png", ".hidden/1.png"}), "ids from 0 on differ"));
  EXPECT_TRUE(contains(difference({"a/1.png", "b/1.png", "b/2.tiff"}), "the sample ids are the same"));
}

TEST(ImageListingTest, LinksToAFolderAboveAreRefused) {
  const auto refused = [](const std::string& link, const std::string& target) {
    const TemporaryFolder scratch;
    write_empty(scratch, {"train/a/1.png", "train/a/deep/2.png", "train/b/1.png", "other/3.png"});
    std::filesystem::create_symlink(target, scratch.path() / link);
    try {
      const ImageListing listing = list_images(scratch.str() + "/train");
      ADD_FAILURE() << link << " was followed: " << listing.files.size() << " images";
    } catch (const Error& error) {
      EXPECT_TRUE(contains(error.what(), scratch.str() + "/" + link + " is a link to")) << error.what();
    }
  };
  refused("train/a/deep/up", "..");
  refused("train/a/deep/itself", ".");
  refused("train/a/all", "../..");
  refused("train/c", ".");
  refused("train/a/root", "/");
}

TEST(ImageListingTest, OtherLinksAreFollowed) {
  const TemporaryFolder scratch;
  write_empty(scratch, {"train/a/1.png", "train/ab/1.png", "elsewhere/a/2.png"});
  std::filesystem::create_directory_symlink("../../elsewhere", scratch.path() / "train/a/linked");
  std::filesystem::create_directory_symlink("ab", scratch.path() / "train/c");
  EXPECT_EQ(list_images(scratch.str() + "/train").files,
            (Names{"a/1.png", "a/linked/a/2.png", "ab/1.png", "c/1.png"}));
}

TEST(ImageListingTest, AClassWithoutImagesSaysWhatItHolds) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"train/a/1.png", png(1)}, {"train/b/1.webp", "x"}, {"val/a/1.png", png(2)}});
  expect_error(options_for(scratch), "train/b holds no image (1 file of");
  expect_error(options_for(scratch), "was not read: 1 .webp)");
}

TEST(ImageListingTest, TheListingMayBeInterrupted) {
  const TemporaryFolder scratch;
  write_empty(scratch, {"a/1.png", "b/1.png"});
  EXPECT_THROW(list_images(scratch.str(), [] { throw std::runtime_error("stop"); }), std::runtime_error);
}

}  // namespace
}  // namespace tdds
