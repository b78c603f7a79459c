#include "engine/data/dataset_cache.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"
#include "tests/engine/image_files.h"

namespace tdds {
namespace {

constexpr int kSize = 8;
constexpr std::uintmax_t kRecord = 1 + 3 * kSize * kSize + 4 + sizeof(FileStamp) + 4;

// `count` PNGs in <scratch>/images, and a request for them cached in <scratch>/cache.
DecodeRequest make_request(const TemporaryFolder& scratch, int count) {
  DecodeRequest request;
  request.folder = (scratch.path() / "images").string();
  request.cache_dir = (scratch.path() / "cache").string();
  request.size = kSize;
  for (int i = 0; i < count; ++i) {
    request.files.push_back(std::to_string(i) + ".png");
    write_files(request.folder,
                {{request.files.back(), png_bytes(test_pixels(i, kSize, kSize), kSize, kSize)}});
  }
  return request;
}

std::filesystem::path only_cache(const std::filesystem::path& folder) {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".cache") continue;
    EXPECT_TRUE(found.empty()) << entry.path();
    found = entry.path();
  }
  return found;
}

TEST(DatasetCacheTest, GivesThePixelsFromTheFilesAndFromTheCache) {
  const TemporaryFolder scratch;
  DecodeRequest request = make_request(scratch, 20);
  std::int64_t decoded = 0;
  request.progress = [&](std::int64_t done, std::int64_t) { decoded = done; };
  for (int round = 0; round < 2; ++round) {
    decoded = 0;
    const DecodedImages images = decode_files(request);
    for (int i = 0; i < 20; ++i) {
      const auto begin = images.pixels.begin() + i * 3 * kSize * kSize;
      EXPECT_EQ(std::vector<std::uint8_t>(begin, begin + 3 * kSize * kSize), test_pixels(i, kSize, kSize));
      EXPECT_EQ(images.good[i], 1);
    }
    EXPECT_EQ(decoded, round == 0 ? 20 : 0);
  }
  EXPECT_EQ(std::filesystem::file_size(only_cache(request.cache_dir)), 20 * kRecord + sizeof(Sha256));
}

TEST(DatasetCacheTest, ContinuesAfterAnInterruptionAndEndsIdentical) {
  const TemporaryFolder scratch;
  const DecodeRequest request = make_request(scratch, 20);
  decode_files(request);
  const std::filesystem::path cache = only_cache(request.cache_dir);
  const std::string whole = read_file(cache, 1 << 20);
  const std::string partial = cache.string() + ".partial";
  for (const std::size_t length :
       {std::size_t{0}, static_cast<std::size_t>(7 * kRecord + 5), whole.size() - 1}) {
    std::filesystem::remove(cache);
    write_files(scratch.path() / "cache",
                {{cache.filename().string() + ".partial", whole.substr(0, length)}});
    EXPECT_EQ(decode_files(request).good, std::vector<std::uint8_t>(20, 1));
    EXPECT_TRUE(read_file(cache, 1 << 20) == whole) << length;
    EXPECT_FALSE(std::filesystem::exists(partial));
  }
}

TEST(DatasetCacheTest, DamagedRecordsAreDecodedAgain) {
  const TemporaryFolder scratch;
  const DecodeRequest request = make_request(scratch, 20);
  const DecodedImages images = decode_files(request);
  const std::filesystem::path cache = only_cache(request.cache_dir);
  const std::string whole = read_file(cache, 1 << 20);
  std::string damaged = whole;
  damaged[3 * kRecord + 100] = static_cast<char>(~damaged[3 * kRecord + 100]);
  write_files(request.cache_dir, {{cache.filename().string(), damaged}});
  EXPECT_EQ(decode_files(request).pixels, images.pixels);
  EXPECT_TRUE(read_file(cache, 1 << 20) == whole);
}

TEST(DatasetCacheTest, StoresWithoutHoldingTheImages) {
  const TemporaryFolder scratch;
  DecodeRequest request = make_request(scratch, 300);
  const DecodedImages images = decode_files(request);
  const std::filesystem::path cache = only_cache(request.cache_dir);
  const std::string whole = read_file(cache, 1 << 20);
  for (const std::size_t left : {std::size_t{0}, static_cast<std::size_t>(140 * kRecord + 5)}) {
    std::filesystem::remove(cache);
    write_files(request.cache_dir, {{cache.filename().string() + ".partial", whole.substr(0, left)}});
    const StoredImages stored = store_files(request);
    EXPECT_TRUE(read_file(cache, 1 << 20) == whole);
    std::vector<std::uint8_t> pixels(3 * kSize * kSize);
    for (const int row : {0, 139, 299}) {
      stored.source->read(row, pixels.data());
      EXPECT_EQ(pixels, test_pixels(row, kSize, kSize));
    }
  }
  std::string damaged = whole;
  damaged[7 * kRecord + 9] = static_cast<char>(~damaged[7 * kRecord + 9]);
  write_files(request.cache_dir, {{cache.filename().string(), damaged}});
  std::vector<std::uint8_t> pixels(3 * kSize * kSize);
  EXPECT_THROW(store_files(request).source->read(7, pixels.data()), Error);
  std::filesystem::remove(cache.string() + ".index");
  store_files(request).source->read(7, pixels.data());
  EXPECT_EQ(pixels, test_pixels(7, kSize, kSize));
}

TEST(DatasetCacheTest, AChangedFileMakesANewCache) {
  const TemporaryFolder scratch;
  const DecodeRequest request = make_request(scratch, 3);
  decode_files(request);
  write_files(request.folder, {{"1.png", png_bytes(test_pixels(99, 16, 16), 16, 16)}});
  const DecodedImages images = decode_files(request);
  EXPECT_NE(std::vector<std::uint8_t>(images.pixels.begin() + 192, images.pixels.begin() + 384),
            test_pixels(1, kSize, kSize));
}

TEST(DatasetCacheTest, TheNoteCountsTheJpegsThatEndEarly) {
  const TemporaryFolder scratch;
  DecodeRequest request = make_request(scratch, 3);
  const std::string words = "end early";
  EXPECT_EQ(decode_files(request).note.find(words), std::string::npos);
  EXPECT_EQ(store_files(request).note.find(words), std::string::npos);
  const std::string whole = jpeg_bytes(test_pixels(4, 32, 32), 32, 32);
  write_files(request.folder, {{"3.jpg", whole}, {"4.jpg", with_half_a_scan(whole)}});
  request.files.insert(request.files.end(), {"3.jpg", "4.jpg"});
  for (const std::string& note : {decode_files(request).note, store_files(request).note})
    EXPECT_NE(note.find("; 1 of 5 are JPEGs that " + words), std::string::npos) << note;
}

TEST(DatasetCacheTest, ADiskTooSmallIsRefusedWithItsFreeSpace) {
  const TemporaryFolder scratch;
  DecodeRequest request = make_request(scratch, 1);
  std::filesystem::create_directory(request.cache_dir);
  request.size = 20'000;  // 1.2 GB an image
  const double free = static_cast<double>(std::filesystem::space(request.cache_dir).available);
  request.files.resize(static_cast<std::size_t>(1.5 * free / 1.2e9) + 2, request.files[0]);
  try {
    store_files(request);
    FAIL();
  } catch (const Error& error) {
    const std::string said = error.what(), begin = request.cache_dir + " has ";
    ASSERT_TRUE(said.starts_with(begin)) << said;
    // Other programs use the disk too.
    const double mb = std::stod(said.substr(begin.size()));
    EXPECT_TRUE(mb > 0.5e-6 * free && mb < 1.5e-6 * free) << said << " " << free;
    EXPECT_NE(said.find(" MB free, but the cache of "), std::string::npos) << said;
  }
}

TEST(DatasetCacheTest, ABadFileStopsOrIsLeftOut) {
  const TemporaryFolder scratch;
  DecodeRequest request = make_request(scratch, 5);
  write_files(request.folder, {{"2.png", "not an image"}});
  try {
    decode_files(request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("images/2.png is not a readable image"), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("`skip_bad`"), std::string::npos) << error.what();
  }
  request.skip_bad = true;
  for (int round = 0; round < 2; ++round) {
    const DecodedImages images = decode_files(request);
    EXPECT_EQ(images.good, (std::vector<std::uint8_t>{1, 1, 0, 1, 1}));
    ASSERT_EQ(images.bad.size(), 1u);
    EXPECT_NE(images.bad[0].find("2.png"), std::string::npos);
  }
  request.skip_bad = false;
  EXPECT_THROW(decode_files(request), Error);
}

}  // namespace
}  // namespace tdds
