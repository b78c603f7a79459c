#include "engine/io/text_lines.h"

#include <gtest/gtest.h>

namespace tdds {
namespace {

using Lines = std::vector<std::string_view>;

TEST(TextLinesTest, EndAsOnEverySystem) {
  EXPECT_EQ(lines_of(""), Lines{});
  EXPECT_EQ(lines_of("a\nb\n"), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of("a\r\nb\r\n"), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of("a\n\r\nb"), (Lines{"a", "", "b"}));
  EXPECT_EQ(lines_of("a\rb\r\r\nc\r"), (Lines{"a\rb\r", "c"}));
}

TEST(TextLinesTest, TheFirstHasNoByteOrderMark) {
  EXPECT_EQ(lines_of("\xEF\xBB\xBF"
                     "a\r\n\xEF\xBB\xBF"),
            (Lines{"a", "\xEF\xBB\xBF"}));
  EXPECT_EQ(lines_of("\xEF\xBB\xBF"), Lines{});
}

TEST(TextLinesTest, NamesAreTheLinesThatAreNotEmpty) {
  EXPECT_EQ(names_of("\xEF\xBB\xBFmaple tree\r\n\r\nbee\r\n\r\n"),
            (std::vector<std::string>{"maple tree", "bee"}));
}

}  // namespace
}  // namespace tdds
