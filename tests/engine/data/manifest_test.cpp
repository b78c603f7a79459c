#include "engine/data/manifest.h"

#include <gtest/gtest.h>

#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "tests/engine/cifar_files.h"

namespace tdds {
namespace {

Manifest example() {
  return {"/data/a\\\r",           "fog\r\r\n\\", {"cat/a.png", "cat/new\nline\ttab\\.png", "dog/\xff.jpg"},
          {120, 7, 4'000'000'000}, {0, 0, 1},     {sha256_of("a"), sha256_of("b"), sha256_of("c")}};
}

TEST(ManifestTest, RoundTripsThroughItsText) {
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"m.tsv", example().text()}});
  const Manifest read = read_manifest((scratch.path() / "m.tsv").string());
  EXPECT_EQ(read.folder, example().folder);
  EXPECT_EQ(read.altered, example().altered);
  EXPECT_EQ(read.files, example().files);
  EXPECT_EQ(read.bytes, example().bytes);
  EXPECT_EQ(read.labels, example().labels);
  EXPECT_EQ(read.contents, example().contents);
  EXPECT_EQ(read.hash(), example().hash());
}

TEST(ManifestTest, AcceptsWindowsLineEnds) {
  const TemporaryFolder scratch;
  std::string text = "\xEF\xBB\xBF";
  for (const char c : example().text()) text += c == '\n' ? "\r\n" : std::string(1, c);
  write_files(scratch.path(), {{"m.tsv", text}});
  const Manifest read = read_manifest((scratch.path() / "m.tsv").string());
  EXPECT_EQ(read.folder, example().folder);
  EXPECT_EQ(read.files, example().files);
  EXPECT_EQ(read.hash(), example().hash());
}

TEST(ManifestTest, HashCoversFilesAndLabelsButNotTheFolder) {
  Manifest other = example();
  other.folder = "/elsewhere";
  EXPECT_EQ(other.hash(), example().hash());
  other.labels[1] = 1;
  EXPECT_NE(other.hash(), example().hash());
  other = example();
  other.bytes[0] = 121;
  EXPECT_NE(other.hash(), example().hash());
  other = example();
  other.files[0] = "cat/b.png";
  EXPECT_NE(other.hash(), example().hash());
  other = example();
  other.altered = "fog";
  EXPECT_NE(other.hash(), example().hash());
  other = example();
  other.contents[2] = sha256_of("d");
  EXPECT_NE(other.hash(), example().hash());
  EXPECT_EQ(other.hash_v1(), example().hash_v1());
}

TEST(ManifestTest, HashesOfVersionOneStillMatch) {
  Manifest old = example();
  old.contents.clear();
  const TemporaryFolder scratch;
  write_files(scratch.path(), {{"m.tsv",
                                "# tdds manifest 1: label, bytes, path of every training row\n# folder /d\n"
                                "0\t120\tcat/a.png\n1\t7\tdog/b.png\n"}});
  const Manifest read = read_manifest((scratch.path() / "m.tsv").string());
  EXPECT_EQ(read.text(), read_file(scratch.path() / "m.tsv", 1 << 10));
  EXPECT_EQ(read.hash(), hex_of(sha256_of("0\t120\tcat/a.png\n1\t7\tdog/b.png\n")));
  EXPECT_EQ(read.hash(), read.hash_v1());
  EXPECT_TRUE(example().matches(old.hash()));
  EXPECT_TRUE(example().matches(example().hash()));
  EXPECT_FALSE(old.matches(example().hash()));
  EXPECT_FALSE(example().matches(read.hash()));
}

TEST(ManifestTest, KeepRowsKeepsEveryColumn) {
  Manifest manifest = example();
  manifest.keep_rows({2, 0});
  EXPECT_EQ(manifest.files, (std::vector<std::string>{"dog/\xff.jpg", "cat/a.png"}));
  EXPECT_EQ(manifest.bytes, (std::vector<std::uint64_t>{4'000'000'000, 120}));
  EXPECT_EQ(manifest.labels, (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(manifest.contents, (std::vector<Sha256>{sha256_of("c"), sha256_of("a")}));
}

TEST(ManifestTest, RejectsMalformedManifest) {
  const TemporaryFolder scratch;
  const std::string path = (scratch.path() / "m.tsv").string(), whole = example().text(), digest(64, '0');
  const std::pair<std::string, const char*> bad[] = {
      {"", "is not a manifest"},
      {whole.substr(0, whole.size() - 3), "line 6: the file was cut short"},
      {whole + "1\t2\n", "line 7: expected label, size, SHA-256 and path"},
      {whole + "1\t2\tp\n", "line 7"},
      {whole + "x\t2\t" + digest + "\tp\n", "line 7"},
      {whole + "1\t2\t" + digest + "\n", "line 7"},
      {whole + "1\t2\t" + digest + "\t\n", "line 7"},
      {whole + "1\t2\t-" + digest.substr(1) + "\tp\n", "line 7"},
      {whole + "1\t2\t" + digest + "\t\\q\n", "line 7"},
      {whole + "# altered fog\\\n", "line 7: a backslash is followed by none of"}};
  for (const auto& [text, says] : bad) {
    write_files(scratch.path(), {{"m.tsv", text}});
    try {
      read_manifest(path);
      ADD_FAILURE() << says;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace tdds
