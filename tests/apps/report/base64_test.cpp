#include "apps/report/base64.h"

#include <gtest/gtest.h>

namespace tdds::report {
namespace {

std::string base64_of_text(const std::string& text) {
  return base64_of<char>(std::span(text));
}

TEST(Base64Test, MatchesThePublishedVectors) {  // RFC 4648, section 10
  EXPECT_EQ(base64_of_text(""), "");
  EXPECT_EQ(base64_of_text("f"), "Zg==");
  EXPECT_EQ(base64_of_text("fo"), "Zm8=");
  EXPECT_EQ(base64_of_text("foo"), "Zm9v");
  EXPECT_EQ(base64_of_text("foob"), "Zm9vYg==");
  EXPECT_EQ(base64_of_text("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64_of_text("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_of_text("\xFB\xEF\xFF"), "++//");
}

TEST(Base64Test, EncodesLongArraysInChunks) {
  for (const std::size_t size : {(3u << 20) - 1, 3u << 20, (3u << 20) + 1, (6u << 20) + 2}) {
    std::string text(size, '\0'), groups;
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 >> 3);
    for (std::size_t at = 0; at < size; at += 3) groups += base64_of_text(text.substr(at, 3));
    EXPECT_TRUE(base64_of_text(text) == groups) << size;
  }
}

}  // namespace
}  // namespace tdds::report
