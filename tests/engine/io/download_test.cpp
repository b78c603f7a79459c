#include "engine/io/download.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/io/hash.h"
#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"

namespace tdds {
namespace {

constexpr const char* kMd5OfAbc = "900150983cd24fb0d6963f7d28e17f72";

TEST(DownloadTest, WritesTheFileAndReportsProgress) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"source", "abc"}});
  std::int64_t received = 0, total = 0;
  download_file("file://" + scratch.str() + "/source", scratch.str() + "/copy", kMd5OfAbc, 3,
                [&](std::int64_t now, std::int64_t all) {
                  received = now;
                  total = all;
                });
  EXPECT_EQ(hash_file(HashKind::kMd5, scratch.str() + "/copy"), kMd5OfAbc);
  EXPECT_EQ(received, 3);
  EXPECT_EQ(total, 3);
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "copy.tmp"));
}

void expect_error(const std::string& url, const TemporaryFolder& scratch, std::int64_t max_bytes,
                  const std::string& reason) {
  try {
    download_file(url, scratch.str() + "/copy", kMd5OfAbc, max_bytes, {});
    ADD_FAILURE() << "accepted " << url;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(url), std::string::npos) << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "copy"));
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "copy.tmp"));
}

TEST(DownloadTest, LeavesNothingBehindWhenItFails) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"other", "abd"}, {"long", "abcd"}});
  expect_error("file://" + scratch.str() + "/absent", scratch, 10, "check the network");
  expect_error("file://" + scratch.str() + "/other", scratch, 10, "is expected");
  expect_error("file://" + scratch.str() + "/long", scratch, 3, "more than 3 bytes");
  expect_error("ftp://localhost/x", scratch, 3, "cannot be fetched");
  expect_error("http://localhost:1/x", scratch, 3, "check the network");  // nothing listens on port 1
}

TEST(DownloadTest, KeepsTheOldFileUntilTheNewOneIsWhole) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"copy", "old"}, {"other", "abd"}});
  EXPECT_THROW(download_file("file://" + scratch.str() + "/other", scratch.str() + "/copy", kMd5OfAbc, 9, {}),
               Error);
  EXPECT_EQ(std::filesystem::file_size(scratch.path() / "copy"), 3u);
  EXPECT_THROW(
      download_file("file://" + scratch.str() + "/other", scratch.str() + "/no/copy", kMd5OfAbc, 9, {}),
      Error);
}

TEST(DownloadTest, AnErrorInTheProgressCallbackEndsIt) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"source", "abc"}});
  EXPECT_THROW(download_file("file://" + scratch.str() + "/source", scratch.str() + "/copy", kMd5OfAbc, 9,
                             [](std::int64_t, std::int64_t) { throw Error("stopped by the user"); }),
               Error);
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "copy"));
}

}  // namespace
}  // namespace tdds
