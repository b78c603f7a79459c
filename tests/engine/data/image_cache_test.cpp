// Caches whose image files move or change, and caches that processes share.

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "engine/data/cache_file.h"
#include "engine/data/dataset_cache.h"
#include "engine/io/crc32.h"
#include "engine/io/file_lock.h"
#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"
#include "tests/engine/image_files.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

constexpr int kSize = 8, kCount = 20;
constexpr std::size_t kImage = std::size_t{3} * kSize * kSize;
constexpr std::size_t kRecord = 1 + kImage + 4 + sizeof(FileStamp) + 4;

std::string ppm(int seed) {
  return ppm_bytes(test_pixels(seed, kSize, kSize), kSize, kSize);
}

class ImageCacheTest : public testing::Test {
 protected:
  // The split `name`: kCount files of equal names and sizes, with the pixels of seed, seed + 1, ...
  DecodeRequest split(const std::string& name, int seed) {
    DecodeRequest request;
    request.folder = (scratch_.path() / "data" / name).string();
    request.cache_dir = cache_dir();
    request.size = kSize;
    for (int i = 0; i < kCount; ++i) {
      request.files.push_back(std::to_string(i) + ".ppm");
      write_files(request.folder, {{request.files.back(), ppm(seed + i)}});
      fs::last_write_time(fs::path(request.folder) / request.files.back(), time_);
    }
    return request;
  }
  std::string cache_dir() const { return (scratch_.path() / "cache").string(); }
  fs::path file_of(const DecodeRequest& request, int row) const {
    return fs::path(request.folder) / request.files[static_cast<std::size_t>(row)];
  }
  // Other content, same size and modification time.
  void replace(const DecodeRequest& request, int row, int seed) {
    write_files(request.folder, {{request.files[static_cast<std::size_t>(row)], ppm(seed)}});
    fs::last_write_time(file_of(request, row), time_);
  }
  std::vector<fs::path> caches() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(cache_dir()))
      if (entry.path().extension() == ".cache") found.push_back(entry.path());
    return found;
  }
  // Checks that both ways to read give the pixels of these seeds, and that the first call's note has `note`.
  static void expect_pixels(const DecodeRequest& request, const std::vector<int>& seeds,
                            const std::string& note) {
    const StoredImages stored = store_files(request);
    EXPECT_NE(stored.note.find(note), std::string::npos) << stored.note << "\nexpected: " << note;
    const DecodedImages images = decode_files(request);
    std::vector<std::uint8_t> pixels(kImage);
    for (std::size_t row = 0; row < seeds.size(); ++row) {
      const std::vector<std::uint8_t> expected = test_pixels(seeds[row], kSize, kSize);
      stored.source->read(static_cast<std::int64_t>(row), pixels.data());
      EXPECT_EQ(pixels, expected) << row;
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), images.pixels.begin() + row * kImage)) << row;
      std::string base_record = "\1";
      base_record.append(pixels.begin(), pixels.end());
      EXPECT_EQ(stored.source->checksum(static_cast<std::int64_t>(row)),
                crc32(base_record.data(), base_record.size()));
    }
  }
  static std::vector<int> seeds_from(int seed) {
    std::vector<int> seeds(kCount);
    for (int i = 0; i < kCount; ++i) seeds[static_cast<std::size_t>(i)] = seed + i;
    return seeds;
  }

  TemporaryFolder scratch_;
  const fs::file_time_type time_ = fs::file_time_type::clock::now() - std::chrono::hours(1);
  const std::vector<int> plain_ = seeds_from(0);
};

TEST_F(ImageCacheTest, SplitsWithEqualListingsHaveSeparateCaches) {
  const DecodeRequest train = split("train", 0), test = split("test", 100);
  expect_pixels(train, plain_, "20 images of");
  expect_pixels(test, seeds_from(100), "were decoded in");
  expect_pixels(train, plain_, "; 0 files were hashed and none decoded");
  EXPECT_EQ(caches().size(), 2u);
}

TEST_F(ImageCacheTest, SwappedFoldersAreDecodedAgain) {
  const DecodeRequest train = split("train", 0), test = split("test", 100);
  store_files(train);
  store_files(test);
  const fs::path data = scratch_.path() / "data";
  fs::rename(data / "train", data / "other");
  fs::rename(data / "test", data / "train");
  fs::rename(data / "other", data / "test");
  // Paths, sizes and times are unchanged. Files made in one tick of the clock also have equal ctimes.
  expect_pixels(train, seeds_from(100), "20 images of");
  expect_pixels(test, plain_, "20 images of");
}

TEST_F(ImageCacheTest, TouchedFilesAreHashedOnceAndNotDecoded) {
  const DecodeRequest request = split("train", 0);
  expect_pixels(request, plain_, "were decoded in");
  const std::string cache = read_file(caches()[0], 1 << 20);
  for (int row = 0; row < 5; ++row)
    fs::last_write_time(file_of(request, row), fs::file_time_type::clock::now());
  expect_pixels(request, plain_,
                "20 images of " + request.folder + " were taken from " + caches()[0].string() +
                    "; 5 files were hashed and none decoded");
  expect_pixels(request, plain_, "; 0 files were hashed and none decoded");
  EXPECT_TRUE(read_file(caches()[0], 1 << 20) == cache);
}

TEST_F(ImageCacheTest, AMovedFolderFindsItsCache) {
  DecodeRequest request = split("train", 0);
  store_files(request);
  fs::rename(scratch_.path() / "data", scratch_.path() / "moved");
  request.folder = (scratch_.path() / "moved" / "train").string();
  expect_pixels(request, plain_, "; 20 files were hashed and none decoded");
  expect_pixels(request, plain_, "; 0 files were hashed and none decoded");
}

TEST_F(ImageCacheTest, OnlyOtherContentIsDecodedAgain) {
  const DecodeRequest request = split("train", 0);
  store_files(request);
  std::vector<int> seeds = plain_;
  replace(request, 3, seeds[3] = 77);
  replace(request, 5, 5);
  expect_pixels(request, seeds, "1 images of " + request.folder + " were decoded");
  replace(request, 4, seeds[4] = 78);
  std::string told;
  DecodeRequest telling = request;
  telling.announce = [&](const std::string& sentence) { told += sentence + "\n"; };
  expect_pixels(telling, seeds, "19 were taken from the cache and 1 files were hashed");
  EXPECT_NE(told.find("hashing 1 of 20 images"), std::string::npos) << told;
  EXPECT_NE(told.find("(19 are done)"), std::string::npos) << told;
  // Swaps two files.
  fs::rename(file_of(request, 7), file_of(request, 0).string() + ".tmp");
  fs::rename(file_of(request, 8), file_of(request, 7));
  fs::rename(file_of(request, 0).string() + ".tmp", file_of(request, 8));
  std::swap(seeds[7], seeds[8]);
  expect_pixels(request, seeds, "2 images of");
}

TEST_F(ImageCacheTest, WithoutAWritableIndexFilesAreHashedEachTime) {
  const DecodeRequest request = split("train", 0);
  store_files(request);
  // Like a folder that is not writable, but also for root.
  fs::create_directory(caches()[0].string() + ".lock");
  fs::last_write_time(file_of(request, 0), fs::file_time_type::clock::now());
  for (int round = 0; round < 2; ++round)
    expect_pixels(request, plain_, "; 1 files were hashed and none decoded");
}

TEST_F(ImageCacheTest, RecordsOfAnotherRowAreRefused) {
  const DecodeRequest request = split("train", 0);
  store_files(request);
  const fs::path cache = caches()[0];
  const std::string whole = read_file(cache, 1 << 20);
  std::string swapped = whole;
  std::swap_ranges(swapped.begin() + 2 * kRecord, swapped.begin() + 3 * kRecord,
                   swapped.begin() + 9 * kRecord);
  const std::string bad[] = {swapped,
                             whole + whole,
                             whole.substr(0, kCount * kRecord) + whole,
                             whole.substr(0, 19 * kRecord),
                             whole + "x",
                             ""};
  for (const std::string& bytes : bad) {
    write_files(cache_dir(), {{cache.filename().string(), bytes}});
    fs::remove(cache.string() + ".index");
    expect_pixels(request, plain_, bytes == swapped ? "2 images of" : "20 images of");
    EXPECT_TRUE(read_file(cache, 1 << 20) == whole);
    fs::remove(cache);
    write_files(cache_dir(), {{cache.filename().string() + ".partial", bytes}});
    expect_pixels(request, plain_, "were decoded in");
    EXPECT_TRUE(read_file(cache, 1 << 20) == whole);
  }
}

TEST_F(ImageCacheTest, AnIndexOfAnotherCacheIsNotUsed) {
  const DecodeRequest request = split("train", 0);
  store_files(request);
  const fs::path cache = caches()[0];
  const std::string index = read_file(cache.string() + ".index", 1 << 20);
  replace(request, 3, 77);
  const StoredImages stored = store_files(request);
  write_files(cache_dir(), {{cache.filename().string() + ".index", index}});
  EXPECT_EQ(store_files(request).source->checksum(3), stored.source->checksum(3));
}

TEST_F(ImageCacheTest, PollStopsTheWorkAndFinishedRecordsAreKept) {
  const DecodeRequest request = split("train", 0);
  store_files(request);
  const std::string whole = read_file(caches()[0], 1 << 20);
  struct Stop {};
  for (int stop_at = 1; stop_at <= 2; ++stop_at) {
    fs::remove_all(cache_dir());
    DecodeRequest stopped = request;
    int calls = 0;
    // Called at least once when the files are examined, and once when they are decoded.
    stopped.poll = [&] {
      if (++calls == stop_at) throw Stop();
    };
    EXPECT_THROW(store_files(stopped), Stop) << stop_at;
    calls = 0;
    EXPECT_THROW(decode_files(stopped), Stop) << stop_at;
    expect_pixels(request, plain_, "");
    EXPECT_TRUE(read_file(caches()[0], 1 << 20) == whole);
  }
}

TEST_F(ImageCacheTest, StoppedDecodingKeepsFinishedRecords) {
  DecodeRequest request = split("train", 0);
  struct Stop {};
  request.progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, kCount);
    if (done >= 5) throw Stop();
  };
  EXPECT_THROW(store_files(request), Stop);
  request.progress = nullptr;
  const StoredImages stored = store_files(request);
  EXPECT_NE(stored.note.find("were taken from"), std::string::npos) << stored.note;
  EXPECT_EQ(stored.note.find("; 0 were taken"), std::string::npos) << stored.note;
}

TEST_F(ImageCacheTest, HashingReportsProgressAndCanBeStopped) {
  DecodeRequest request = split("train", 0);
  store_files(request);
  for (int row = 0; row < kCount; ++row)
    fs::last_write_time(file_of(request, row), fs::file_time_type::clock::now());
  struct Stop {};
  std::int64_t hashed = -1;
  request.progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, kCount);
    hashed = done;
    throw Stop();
  };
  EXPECT_THROW(store_files(request), Stop);
  EXPECT_EQ(hashed, 0);
}

TEST_F(ImageCacheTest, WaitsForTheProcessThatMakesTheCache) {
  DecodeRequest request = split("train", 0);
  store_files(request);
  const fs::path cache = caches()[0];
  fs::rename(cache, cache.string() + ".hidden");
  auto lock = std::make_unique<FileLock>(cache.string() + ".lock");
  std::string told;
  int waits = 0;
  request.announce = [&](const std::string& sentence) { told += sentence + "\n"; };
  request.poll = [&] {
    if (told.empty() || ++waits < 3) return;
    if (waits == 3) fs::rename(cache.string() + ".hidden", cache);
    lock.reset();
  };
  const StoredImages stored = store_files(request);
  EXPECT_NE(stored.note.find("none decoded"), std::string::npos) << stored.note;
  EXPECT_NE(told.find(fmt::format("waiting for process {} on the host ", ::getpid())), std::string::npos)
      << told;
  EXPECT_NE(told.find("which is making " + cache.string()), std::string::npos) << told;
}

TEST_F(ImageCacheTest, OldCachesAreNamed) {
  EXPECT_EQ(note_on_old_caches(cache_dir()), "");
  const DecodeRequest request = split("images", 0);
  store_files(request);
  EXPECT_EQ(note_on_old_caches(cache_dir()), "");
  const std::string hash(32, 'a');
  write_files(cache_dir(), {{"images_8_upright_" + hash + ".cache", "x"},
                            {"images_8_" + hash + ".cache.manifest.tsv", "x"}});
  const std::string note = note_on_old_caches(cache_dir());
  EXPECT_NE(note.find("2 files"), std::string::npos) << note;
  EXPECT_NE(note.find("can be removed"), std::string::npos) << note;
}

TEST_F(ImageCacheTest, ADamagedIndexIsNotUsed) {
  const DecodeRequest request = split("train", 0);
  store_files(request);
  const fs::path cache = caches()[0];
  const std::string path = cache.string() + ".index", whole = read_file(path, 1 << 20);
  const auto layout = std::make_shared<CacheLayout>(CacheLayout{.size = kSize, .files = request.files});
  const Sha256 name = CacheFile(cache.string(), layout).name();
  EXPECT_EQ(read_index(path, kCount, name).size(), static_cast<std::size_t>(kCount));
  for (std::size_t at = 0; at < whole.size(); at += 5) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1 << at % 8);
    write_files(cache_dir(), {{fs::path(path).filename().string(), damaged}});
    ASSERT_TRUE(read_index(path, kCount, name).empty()) << at;
  }
}

// Only complete records of an interrupted run are used.
TEST_F(ImageCacheTest, WholeRecordsOfAnInterruptedRunAreTaken) {
  const DecodeRequest request = split("train", 0);
  store_files(request);
  const fs::path cache = caches()[0];
  const std::string whole = read_file(cache, 1 << 20);
  for (const std::size_t bytes : {7 * kRecord - 1, 7 * kRecord, 7 * kRecord + 1, kCount * kRecord}) {
    fs::remove(cache);
    write_files(cache_dir(), {{cache.filename().string() + ".partial", whole.substr(0, bytes)}});
    const std::string note = store_files(request).note;
    const std::size_t left = kCount - bytes / kRecord;
    EXPECT_NE(note.find(left == 0 ? "none decoded" : fmt::format("{} images of", left)), std::string::npos)
        << bytes << ": " << note;
    EXPECT_TRUE(read_file(cache, 1 << 20) == whole);
  }
}

}  // namespace
}  // namespace tdds
