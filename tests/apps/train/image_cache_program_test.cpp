// The cache of decoded images and the identity of image files, through the real programs.

#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "engine/data/manifest.h"
#include "engine/io/hash.h"
#include "tests/apps/program.h"
#include "tests/engine/image_files.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void put(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  write_text(path, bytes);
}

// An image of this side. The files of all seeds have equal sizes.
std::string ppm(int seed, int side = 8) {
  return ppm_bytes(test_pixels(seed, side, side), side, side);
}

class ImageCacheProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::string name : {"cat", "dog"})
      for (int i = 0; i < 12; ++i)
        put(data_ + (i < 10 ? "/train/" : "/val/") + name + "/" + std::to_string(i % 10) + ".ppm",
            ppm(i + (name == "dog" ? 100 : 0)));
  }
  Outcome train(const std::string& run, const std::vector<std::string>& more = {}) const {
    return run_tool("tdds-train", with({"--dataset",    "folder",     "--data_path",     data_,
                                        "--image_size", "8",          "--width",         "0.03125",
                                        "--batch-size", "10",         "--epochs",        "3",
                                        "--threads",    "1",          "--learning_rate", "0.01",
                                        "--overwrite",  "--dynamics", "--save_path",     folder_ / run},
                                       more));
  }
  Outcome score() const {
    return run_tool("tdds-score", {"--dynamics_path", folder_ / "run", "--mask_path", folder_ / "masks",
                                   "--trajectory_len", "3", "--window_size", "3"});
  }
  Outcome train_subset(const std::vector<std::string>& more = {}) const {
    return run_tool("tdds-train-subset", with({"--dataset",
                                               "folder",
                                               "--data_path",
                                               data_,
                                               "--image_size",
                                               "8",
                                               "--width",
                                               "0.03125",
                                               "--batch-size",
                                               "10",
                                               "--epochs",
                                               "1",
                                               "--threads",
                                               "1",
                                               "--overwrite",
                                               "--save_path",
                                               folder_ / "subset",
                                               "--subset_rate",
                                               "0.5",
                                               "--mask_path",
                                               folder_ / "masks/data_mask_win3_ep3.npy",
                                               "--score_path",
                                               folder_ / "masks/score_win3_ep3.npy"},
                                              more));
  }
  std::string recorded(const std::string& run) const { return read_text(folder_ / run + "/dynamics.tdds"); }
  Json result(const std::string& run) const {
    Json json = Json::parse(read_text(folder_ / run + "/result.json"));
    json.erase("seconds");
    return json;
  }
  // Gives all files the same time, as tar and zip do.
  void set_times() const {
    const auto time = fs::file_time_type::clock::now() - std::chrono::hours(1);
    for (const auto& entry : fs::recursive_directory_iterator(data_))
      if (entry.is_regular_file()) fs::last_write_time(entry.path(), time);
  }

  TemporaryFolder folder_;
  const std::string data_ = folder_ / "data", cache_ = folder_ / "cache";
};

TEST_F(ImageCacheProgramTest, TwoProcessesMakeOneCacheOfTheRightPictures) {
  for (const std::string name : {"cat", "dog"})
    for (int i = 0; i < 200; ++i)
      put(data_ + "/train/" + name + "/" + std::to_string(i) + ".png",
          png_bytes(test_pixels(i + (name == "dog" ? 500 : 0), 160, 160), 160, 160));
  const std::vector<std::string> brief{"--epochs", "1", "--batch-size", "60"};
  ASSERT_EQ(train("plain", brief).exit_code, 0);
  const auto cached = with(brief, {"--cache_dir", cache_});
  auto one = std::async(std::launch::async, [&] { return train("one", cached); });
  auto two = std::async(std::launch::async, [&] { return train("two", cached); });
  const Outcome first = one.get(), second = two.get();
  ASSERT_EQ(first.exit_code, 0) << first.err;
  ASSERT_EQ(second.exit_code, 0) << second.err;
  const bool waited = (first.out + second.out).find("waiting for process ") != std::string::npos;
  const bool taken = (first.out + second.out).find("were taken from") != std::string::npos;
  EXPECT_TRUE(waited || taken) << first.out << second.out;
  const Outcome third = train("three", cached);
  EXPECT_NE(third.out.find("420 images of " + data_ + "/train were taken from"), std::string::npos)
      << third.out;
  EXPECT_NE(third.out.find("; 0 files were hashed and none decoded"), std::string::npos) << third.out;
  for (const std::string run : {"one", "two", "three"}) {
    EXPECT_TRUE(recorded(run) == recorded("plain")) << run;
    EXPECT_EQ(result(run), result("plain"));
  }
}

TEST_F(ImageCacheProgramTest, SplitsWithOneListingAreNotMistakenForEachOther) {
  fs::remove_all(data_ + "/val");
  for (const std::string name : {"cat", "dog"})
    for (int i = 0; i < 10; ++i) put(data_ + "/val/" + name + "/" + std::to_string(i) + ".ppm", ppm(i + 33));
  set_times();
  ASSERT_EQ(train("plain").exit_code, 0);
  for (const std::string run : {"one", "two"}) {
    ASSERT_EQ(train(run, {"--cache_dir", cache_}).exit_code, 0);
    EXPECT_EQ(result(run), result("plain"));
  }
  // The two splits are exchanged, with the cache and without.
  fs::rename(data_ + "/val", data_ + "/other");
  fs::rename(data_ + "/train", data_ + "/val");
  fs::rename(data_ + "/other", data_ + "/train");
  ASSERT_EQ(train("plain").exit_code, 0);
  ASSERT_EQ(train("one", {"--cache_dir", cache_}).exit_code, 0);
  EXPECT_EQ(result("one"), result("plain"));
  EXPECT_NE(result("one"), result("two"));
}

TEST_F(ImageCacheProgramTest, AMaskOfReplacedImagesIsRefused) {
  set_times();
  ASSERT_EQ(train("run").exit_code, 0);
  ASSERT_EQ(score().exit_code, 0);
  const std::vector<std::string> larger{"--image_size", "16"};
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, larger})
    EXPECT_EQ(train_subset(more).exit_code, 0) << train_subset(more).err;
  put(data_ + "/train/dog/4.ppm", ppm(77));
  set_times();
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, larger}) {
    const Outcome refused = train_subset(more);
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_NE(refused.err.find("says that the scores are of other data"), std::string::npos) << refused.err;
  }
}

TEST_F(ImageCacheProgramTest, AMaskOfVersionOneIsStillAccepted) {
  ASSERT_EQ(train("run").exit_code, 0);
  ASSERT_EQ(score().exit_code, 0);
  const std::string about = folder_ / "masks/score_win3_ep3.json";
  Json json = Json::parse(read_text(about));
  const Manifest manifest = read_manifest(folder_ / "run/manifest.tsv");
  ASSERT_FALSE(manifest.contents.empty());
  EXPECT_EQ(manifest.contents[0], sha256_of(read_text(data_ + "/train/" + manifest.files[0])));
  EXPECT_EQ(json["manifest"], manifest.hash());
  json["manifest"] = manifest.hash_v1();
  write_text(about, json.dump());
  const std::string note = "is from an earlier version, which identified images by path and size";
  const Outcome same = train_subset(), larger = train_subset({"--image_size", "16"});
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(same.out.find(note), std::string::npos) << same.out;
  EXPECT_EQ(larger.exit_code, 0) << larger.err;
  EXPECT_NE(larger.out.find(note), std::string::npos) << larger.out;
}

TEST_F(ImageCacheProgramTest, TheReportAcceptsImagesInMemoryForThoseOnDisk) {
  ASSERT_EQ(train("run", {"--cache_dir", cache_, "--data_memory", "1e-9"}).exit_code, 0);
  const auto report = [&] {
    return run_tool("tdds-report", {"--dynamics_path", folder_ / "run", "--dataset", "folder", "--data_path",
                                    data_, "--image_size", "8", "--output", folder_ / "report.html"});
  };
  set_times();
  const Outcome same = report();
  EXPECT_EQ(same.exit_code, 0) << same.err;
  put(data_ + "/train/dog/4.ppm", ppm(77));
  const Outcome replaced = report();
  EXPECT_EQ(replaced.exit_code, 1) << replaced.out;
  EXPECT_NE(replaced.err.find("was not recorded on these"), std::string::npos) << replaced.err;
}

TEST_F(ImageCacheProgramTest, OldCachesAreNamedAndLeftAlone) {
  const std::string old = cache_ + "/images_8_0123456789abcdef0123456789abcdef.cache";
  put(old, "x");
  const Outcome outcome = train("run", {"--cache_dir", cache_});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("holds image caches of an earlier format (1 files, 0.0 MB), which are not read"),
            std::string::npos)
      << outcome.out;
  EXPECT_EQ(read_text(old), "x");
}

TEST_F(ImageCacheProgramTest, AReadOnlyCacheFolderIsUsed) {
  ASSERT_EQ(train("plain", {"--cache_dir", cache_}).exit_code, 0);
  fs::permissions(cache_, fs::perms::owner_read | fs::perms::owner_exec);
  if (access(cache_.c_str(), W_OK) == 0) GTEST_SKIP() << "root may write anywhere";
  for (const auto& entry : fs::recursive_directory_iterator(data_ + "/train"))
    if (entry.is_regular_file()) fs::last_write_time(entry.path(), fs::file_time_type::clock::now());
  for (int round = 0; round < 2; ++round) {
    const Outcome outcome = train("run", {"--cache_dir", cache_});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("; 20 files were hashed and none decoded"), std::string::npos) << outcome.out;
    EXPECT_TRUE(recorded("run") == recorded("plain"));
  }
  fs::permissions(cache_, fs::perms::owner_all);
}

}  // namespace
}  // namespace tdds::test
