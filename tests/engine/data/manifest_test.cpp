#include "engine/manifest.h"

#include <gtest/gtest.h>

#include "kernels/check.h"
#include "tests/engine/cifar_files.h"

namespace tdds {
namespace {

Manifest example() {
  return {"/data/train",
          "",
          {"cat/a.png", "cat/new\nline\ttab\\.png", "dog/\xff.jpg"},
          {120, 7, 4'000'000'000},
          {0, 0, 1}};
}

TEST(Manifest, ComesBackFromItsText) {
  const ScratchFolder scratch;
  write_files(scratch.path(), {{"m.tsv", example().text()}});
  const Manifest read = read_manifest((scratch.path() / "m.tsv").string());
  EXPECT_EQ(read.folder, example().folder);
  EXPECT_EQ(read.files, example().files);
  EXPECT_EQ(read.bytes, example().bytes);
  EXPECT_EQ(read.labels, example().labels);
  EXPECT_EQ(read.hash(), example().hash());
}

TEST(Manifest, ItsHashIsOfTheFilesAndLabelsNotOfThePlace) {
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
}

TEST(Manifest, WhatIsNoneIsNamed) {
  const ScratchFolder scratch;
  const std::string path = (scratch.path() / "m.tsv").string(), whole = example().text();
  const std::pair<std::string, const char*> bad[] = {
      {"", "is no manifest"},
      {whole.substr(0, whole.size() - 3), "line 5: it was cut short"},
      {whole + "1\t2\n", "line 6: there is no label"},
      {whole + "x\t2\tp\n", "line 6"},
      {whole + "1\t2\t\\q\n", "line 6"}};
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
