#include "apps/cli/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/json_text.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

enum class Colour : std::uint8_t { kRed, kGreen };
constexpr std::array kColours{Colour::kRed, Colour::kGreen};
const char* to_string(Colour colour) {
  return colour == Colour::kRed ? "red" : "green";
}

struct Config {
  bool on = false;
  std::int32_t count = 3;
  std::uint64_t seed = 42;
  double rate = 0.1;
  std::string path = "a b";
  std::optional<double> share = {};
  std::vector<double> rates{0.3, 0.5};
  std::vector<std::string> names = {};
  Colour colour = Colour::kRed;
  std::optional<Colour> background = {};
  std::vector<Colour> palette = {};
  std::string shape = "square";
};

FlagTable flags_of(Config& c) {
  return {{"on", &c.on, ""},
          {"count", &c.count, ""},
          {"seed", &c.seed, ""},
          {"rate", &c.rate, ""},
          {"path", &c.path, ""},
          {"share", &c.share, ""},
          {"rates", &c.rates, ""},
          {"names", &c.names, ""},
          {"colour", choice(c.colour, kColours), ""},
          {"background", choice(c.background, kColours), ""},
          {"palette", choices(c.palette, kColours), ""},
          {"shape", word_choice(c.shape, {"square", "disc"}), ""}};
}

void set(const FlagTable& flags, const std::string& name, const std::string& text) {
  find_flag(flags, name)->variable.set(name, text);
}

TEST(FlagsTest, JsonRoundTripKeepsAConfiguration) {
  Config first{.on = true,
               .count = -7,
               .seed = UINT64_MAX,
               .rate = 0.1 + 0.2,
               .path = "caf\xe9, \\x41",
               .share = 0.25,
               .rates = {},
               .names = {"x", "y"},
               .colour = Colour::kGreen,
               .background = Colour::kRed,
               .palette = {Colour::kGreen, Colour::kRed},
               .shape = "disc"};
  Config second;
  const FlagTable flags = flags_of(second);
  const std::string json = json_text(to_json(texts_of(flags_of(first))));
  for (const auto& [name, text] : texts_from_json(nlohmann::ordered_json::parse(json)))
    set(flags, name, text);
  EXPECT_EQ(texts_of(flags), texts_of(flags_of(first)));
  EXPECT_EQ(second.seed, first.seed);
  EXPECT_EQ(second.rate, first.rate);
  EXPECT_EQ(second.path, first.path);
  EXPECT_EQ(second.rates, first.rates);
  EXPECT_EQ(second.palette, first.palette);
}

TEST(FlagsTest, RejectsInvalidValuesAndNamesTheFlag) {
  Config config, untouched;
  const FlagTable flags = flags_of(config);
  const std::pair<const char*, const char*> bad[] = {
      {"on", "perhaps"},  {"count", "3000000000"}, {"count", "0x10"}, {"count", ""},     {"seed", "-1"},
      {"rate", "nan"},    {"rate", "1e39"},        {"share", "half"}, {"rates", "0.3,"}, {"colour", "blue"},
      {"background", ""}, {"palette", "red,blue"}, {"shape", "cube"}};
  for (const auto& [name, text] : bad) {
    try {
      set(flags, name, text);
      ADD_FAILURE() << name << " took " << text;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("--" + std::string(name) + " is ")) << text;
    }
  }
  config.palette = {};  // a list is filled word by word
  EXPECT_EQ(texts_of(flags), texts_of(flags_of(untouched)));
}

TEST(FlagsTest, ReadsBracketedListsOfEarlierVersions) {
  Config config;
  const FlagTable flags = flags_of(config);
  for (const char* text : {"[0.60,0.9]", "0.6,0.9"}) {
    set(flags, "rates", text);
    EXPECT_EQ(config.rates, (std::vector{0.6, 0.9})) << text;
    EXPECT_EQ(find_flag(flags, "rates")->variable.get(), "0.6,0.9");
  }
  for (const char* text : {"[]", "{}", ""}) {
    set(flags, "rates", text);
    EXPECT_TRUE(config.rates.empty()) << text;
  }
}

TEST(FlagsTest, AChoiceListsItsWords) {
  Config config;
  const FlagTable flags = flags_of(config);
  try {
    set(flags, "background", "blue");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "--background is 'blue'; choose red, green or auto");
  }
  set(flags, "background", "green");
  EXPECT_EQ(config.background, Colour::kGreen);
  set(flags, "background", "auto");
  EXPECT_EQ(config.background, std::nullopt);
}

TEST(FlagsTest, NamesSettingsOfLowerLayersAsFlags) {
  EXPECT_EQ(with_flag_names("`val_fraction` is 2: give `max` or `manualSeed`"),
            "--val_fraction is 2: give --max or --manualSeed");
  for (const char* other : {"", "`", "``", "a ` b ` c", "`a b`", "`open", "--given"})
    EXPECT_EQ(with_flag_names(other), other);
}

}  // namespace
}  // namespace tdds
