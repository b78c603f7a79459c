#include "apps/cli/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::TemporaryFolder;
using test::write_text;
using testing::HasSubstr;

enum class Colour : std::uint8_t { kRed, kGreen };
constexpr std::array kColours{Colour::kRed, Colour::kGreen};
const char* to_string(Colour colour) {
  return colour == Colour::kRed ? "red" : "green";
}

struct Options {
  bool on = false;
  std::int32_t count = 3;
  std::uint64_t seed = 42;
  double rate = 0.1;
  std::string path = "a b";
  std::optional<double> share = 0.5;
  std::vector<double> rates{0.3, 0.5};
  std::vector<std::string> names{"first"};
  std::optional<Colour> colour = {};
  std::vector<Colour> palette = {};
  std::string shape = "square";
  ConfigFlags files = {};
};

FlagTable flags_of(Options& o) {
  FlagTable flags{{"on", &o.on, ""},
                  {"count", &o.count, ""},
                  {"seed", &o.seed, ""},
                  {"rate", &o.rate, ""},
                  {"path", &o.path, ""},
                  {"share", &o.share, ""},
                  {"rates", &o.rates, ""},
                  {"names", &o.names, ""},
                  {"colour", choice(o.colour, kColours), ""},
                  {"palette", choices(o.palette, kColours), ""},
                  {"shape", word_choice(o.shape, {"square", "disc"}), ""}};
  append(flags, config_flags(o.files));
  return flags;
}

class ConfigFileTest : public testing::Test {
 protected:
  // The options after the file `text` is read.
  Options read(const std::string& text, std::set<std::string> given = {}) {
    write_text(path_, text);
    Options options;
    read_config(path_, flags_of(options), given);
    given_ = given;
    return options;
  }
  // The error for a file that is refused, without its name.
  std::string refusal(const std::string& text) {
    try {
      read(text);
    } catch (const UsageError& error) {
      const std::string what = error.what();
      EXPECT_TRUE(what.starts_with(path_)) << what;
      return what.substr(std::min(what.size(), path_.size() + 2));
    }
    return "nothing";
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "flags.toml";
  std::set<std::string> given_;
};

TEST_F(ConfigFileTest, WhatIsSavedIsReadAgain) {
  Options given{.on = true,
                .count = -7,
                .seed = 18446744073709551615u,
                .rate = 5e-4,
                .share = {},
                .rates = {},
                .names = {"x y", "it's", "[z]"},
                .colour = Colour::kGreen,
                .palette = {Colour::kGreen, Colour::kRed},
                .files = {.config = "never", .save_config = "saved"}};
  for (const char* path :
       {"a b", "", "a,b", "it's #1 = \"[x]\"", "\\", "c:\\x41\\", "line\nbreak\ttab", "true", "7",
        "\xff\xfe bytes", "\xc3\xa9t\xc3\xa9", " spaces ", "'a'", "# no comment", "=", "]"}) {
    given.path = path;
    const FlagTable flags = flags_of(given);
    save_config(path_, "tdds-test", flags, texts_of(flags));
    Options found;
    std::set<std::string> names;
    read_config(path_, flags_of(found), names);
    found.files = given.files;  // these two are not kept
    EXPECT_EQ(texts_of(flags_of(found)), texts_of(flags)) << path << "\n" << test::read_text(path_);
    EXPECT_EQ(found.path, path);
    EXPECT_EQ(found.share, std::nullopt);
    EXPECT_EQ(names.size(), flags.size() - 2);
  }
}

TEST_F(ConfigFileTest, TheFormIsThatOfToml) {
  Options options{.names = {"a", "b"}};
  const FlagTable flags = flags_of(options);
  const std::string text = config_text("tdds-test", flags, texts_of(flags));
  EXPECT_THAT(text, testing::StartsWith("# tdds-test "));
  EXPECT_THAT(text, HasSubstr("\n\n# Flags\n"
                              "on = false\ncount = 3\nseed = 42\nrate = 0.1\npath = 'a b'\nshare = 0.5\n"
                              "rates = [0.3, 0.5]\nnames = ['a', 'b']\ncolour = 'auto'\npalette = []\n"
                              "shape = 'square'\n"));
  options.shape.clear();  // no value is given yet
  EXPECT_THAT(config_text("tdds-test", flags, texts_of(flags)), testing::Not(HasSubstr("shape")));
  EXPECT_THAT(text, testing::Not(HasSubstr("config")));
}

TEST_F(ConfigFileTest, FormsOfOtherWritersAreRead) {
  const Options options = read(
      "\xEF\xBB\xBF# a comment\r\n"
      "\r\n"
      "  count=5 # of the line\r\n"
      "\"rate\" = +2.5e-3\n"
      "names = [ \"x\", 'y z' ]  # two\n"
      "rates = [\n  0.25, # low\n  0.75 # ]\n]\n"
      "path = \"d/e\"\n"
      "on = true");
  EXPECT_EQ(options.count, 5);
  EXPECT_EQ(options.rate, 2.5e-3);
  EXPECT_EQ(options.names, (std::vector<std::string>{"x", "y z"}));
  EXPECT_EQ(options.rates, (std::vector{0.25, 0.75}));
  EXPECT_EQ(options.path, "d/e");
  EXPECT_TRUE(options.on);
  EXPECT_EQ(given_, (std::set<std::string>{"count", "rate", "names", "rates", "path", "on"}));
  EXPECT_EQ(read("").count, 3) << "an empty file";
}

TEST_F(ConfigFileTest, WhatTheCommandLineGivesWinsAndIsStillChecked) {
  const Options options = read("count = 5\nrate = 0.5\n", {"count"});
  EXPECT_EQ(options.count, 3);
  EXPECT_EQ(options.rate, 0.5);
  EXPECT_EQ(given_, (std::set<std::string>{"count", "rate"}));
  EXPECT_THROW(read("count = many\n", {"count"}), UsageError);
}

TEST_F(ConfigFileTest, EveryWrongLineIsNamed) {
  const std::pair<const char*, const char*> wrong[] = {
      {"count = 1\n\ncuont = 2\n",
       "line 3: there is no flag --cuont: did you mean --count? --help-all lists "},
      {"count = 1\nrate = 2\ncount = 3\n",
       "line 3: 'count = 3' gives count a second time; the first is in line 1"},
      {"# of\nrate = 1\nrate = 2\n", "line 3: 'rate = 2' gives rate a second time"},
      {"count = ten\n", "line 1: --count is 'ten'; give a whole decimal number"},
      {"count = 0x10\n", "line 1: --count is '0x10'; give a whole decimal number"},
      {"count = 1_000\n", "line 1: --count is '1_000'; give a whole decimal number"},
      {"seed = -1\n", "line 1: --seed is -1; give a whole number of at least 0"},
      {"rate = nan\n", "line 1: --rate is nan; give a finite number"},
      {"\nrates = [0.3, half]\n", "line 2: --rates is 'half'; give a decimal number"},
      {"on = yes\n", "line 1: --on is 'yes'; choose true or false"},
      {"colour = 'blue'\n", "line 1: --colour is 'blue'; choose red, green or auto"},
      {"count = [1, 2]\n", "line 1: 'count = [1, 2]' gives several values to a flag of one"},
      {"count = [1]\n", "line 1: 'count = [1]' gives several values to a flag of one"},
      {"path = my photos\n", "line 1: 'path = my photos' gives several values to a flag of one; a text with"},
      {"path = 'a#b'\n", "line 1: 'path = 'a#b'' has a # in quotes; write it as \\x23 in single quotes"},
      {"path = \"a\\tb\"\n", "has a backslash in double quotes; use single quotes"},
      {"path = 'open\n", "line 1: 'path = 'open' has a quote that is not closed"},
      {"count =\n", "line 1: 'count =' has no value"},
      {"on\n", "line 1: 'on' is not `flag = value`"},
      {"x\n", "line 1: 'x' is not `flag = value`"},
      {"; count = 1\n", "line 1: '; count = 1' is not `flag = value`"},
      {"[train]\ncount = 1\n", "line 1: '[train]' begins a section; this file has none"},
      {"train.count = 1\n", "line 1: 'train.count = 1' is not `flag = value`"},
      {"rates = [0.3,\ncount = 1\n", "line 1: 'rates = [0.3,' begins a list that does not end"},
      {"names = ['a',\n'#b']\n", "line 2: ''#b']' has a # in quotes"},
      {"config = 'other.toml'\n", "line 1: 'config = 'other.toml'' is not for a file; give --config on the"},
      {"save_config = 'x'\n", "line 1: 'save_config = 'x'' is not for a file"},
  };
  for (const auto& [text, says] : wrong) EXPECT_THAT(refusal(text), HasSubstr(says)) << text;
}

TEST_F(ConfigFileTest, AFileThatCannotBeReadIsNamed) {
  Options options;
  std::set<std::string> given;
  for (const std::string& path : {folder_ / "absent.toml", folder_.str()}) {
    try {
      read_config(path, flags_of(options), given);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(path));
    }
  }
}

}  // namespace
}  // namespace tdds
