#include "engine/io/json_text.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

namespace tdds {
namespace {

using Json = nlohmann::ordered_json;

TEST(JsonTextTest, ValidUtf8IsUnchanged) {
  for (const char* text :
       {"", "plain", "d\u00e9j\u00e0 vu", "\u65e5\u672c", "\U0001F600", "a\\b", "\\x", "\\xg0", "\n\"<"})
    EXPECT_EQ(utf8_of(text), text);
}

TEST(JsonTextTest, OtherBytesAreEscaped) {
  const std::pair<const char*, const char*> cases[] = {
      {"d\xe9j\xe0 vu", "d\\xe9j\\xe0 vu"},
      {"\xff", "\\xff"},
      {"\xc3", "\\xc3"},
      {"\xc0\xaf", "\\xc0\\xaf"},                    // an overlong '/'
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // a surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // beyond U+10FFFF
      {"\xe2\x82", "\\xe2\\x82"},                    // cut short
      {"\xe2\x82\xe2\x82\xac", "\\xe2\\x82\u20ac"},
      {"\\xe9", "\\x5cxe9"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(utf8_of(bytes), text);
}

TEST(JsonTextTest, NoBytesAreLost) {
  std::mt19937 random(7);
  const std::string pool = "\\x5cef09\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff\xed\xa0";
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (std::size_t i = random() % 12; i > 0; --i) bytes += pool[random() % pool.size()];
    const std::string text = utf8_of(bytes);
    EXPECT_NO_THROW(Json(text).dump()) << "UTF-8";
    EXPECT_EQ(bytes_of_utf8(text), bytes);
  }
}

TEST(JsonTextTest, EveryStringAndKeyOfAJsonIsUtf8) {
  const Json json{{"a\xe9", {{"list", {"\xe0", 1, nullptr}}}},
                  {"plain", std::numeric_limits<double>::quiet_NaN()}};
  EXPECT_EQ(json_text(json), "{\"a\\\\xe9\":{\"list\":[\"\\\\xe0\",1,null]},\"plain\":null}");
  EXPECT_EQ(json_text(Json{{"b", 1}, {"a", 2}}, 1), "{\n \"b\": 1,\n \"a\": 2\n}") << "in the order given";
}

TEST(JsonTextTest, ALineIsOneLine) {
  EXPECT_EQ(line_of("a\nb\r\x1b[2J\x7f\xe9\u00e9"), "a\\x0ab\\x0d\\x1b[2J\\x7f\\xe9\u00e9");
}

}  // namespace
}  // namespace tdds
