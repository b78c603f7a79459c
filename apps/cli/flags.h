#pragma once
// A program's flags as a table: each flag's name, variable and description. The command line, --help, logs,
// checkpoints and sweep records read and write the variables only through this table, as text.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace tdds {

// Access to a variable as text. A list is joined by commas; "" is an empty list or a number that is not
// given.
struct FlagVariable {
  // T is bool (a switch), a number, a string, an optional number, or a list of numbers or strings. Numbers
  // are decimal, finite and within the range of their type; floating-point numbers are within the range of
  // float.
  template <class T>
  FlagVariable(T* variable);  // NOLINT(google-explicit-constructor): rows of a table read better
  FlagVariable() = default;

  const char* type = "TEXT";  // INT, UINT, FLOAT or TEXT, for --help
  bool* on = nullptr;         // for a switch: the variable itself
  bool is_list = false;
  std::vector<std::string> words;  // the accepted values, if they are a fixed set
  // Throws UsageError, naming `flag`, for a text that the variable does not accept.
  std::function<void(const std::string& flag, const std::string& text)> set;
  std::function<std::string()> get;
};

// A choice of one of `values`, a range of enum values, each named by its to_string().
template <class T, class Values>
FlagVariable choice(T& variable, const Values& values);
// The same, or no value, named "auto".
template <class T, class Values>
FlagVariable choice(std::optional<T>& variable, const Values& values);
// A list of them.
template <class T, class Values>
FlagVariable choices(std::vector<T>& variable, const Values& values);
// A choice of one of `words`, stored as text.
FlagVariable word_choice(std::string& variable, const std::vector<std::string>& words);

// What a flag's value affects, and so whether a continued run or sweep remembers it.
enum class FlagScope : std::uint8_t {
  kResult,  // the results: remembered, and it must stay the same
  kPlace,   // where data and outputs are, or what a run keeps by itself: remembered, and it may change
  kStart,   // a single start of the program: not remembered
};

struct Flag {
  std::string name;  // without dashes
  FlagVariable variable;
  std::string help;  // --help shows the first sentence, --help-all the whole
  FlagScope scope = FlagScope::kResult;
  std::string group = "Flags";  // its heading in --help
  std::string needs = {};       // the flag without which this one has no effect
  bool advanced = false;        // shown only by --help-all
};
using FlagTable = std::vector<Flag>;

void append(FlagTable& flags, FlagTable more);
FlagTable grouped(const std::string& group, FlagTable flags);
FlagTable advanced(FlagTable flags);
// Returns null if there is no such flag.
const Flag* find_flag(const FlagTable& flags, const std::string& name);

// Names of flags, without dashes, with their values as text.
using FlagTexts = std::vector<std::pair<std::string, std::string>>;
FlagTexts texts_of(const FlagTable& flags);
const std::string* find_text(const FlagTexts& texts, const std::string& name);

// Conversion to and from a JSON object of strings. A path may hold any bytes, which survive the round trip.
// JSON that is not an object gives no flags.
nlohmann::ordered_json to_json(const FlagTexts& texts);
FlagTexts texts_from_json(const nlohmann::ordered_json& json);

// Declares every flag as an option of `app`, which sets the variable when it parses.
void declare_flags(CLI::App& app, const FlagTable& flags);

// Splits "a,b" into its words, and likewise "[a,b]", as versions up to 0.1.0 wrote defaults. "", "[]" and
// "{}" are empty lists.
std::vector<std::string> split_list(const std::string& text);
std::string join_list(const std::vector<std::string>& words);

// The layers below the programs name a setting in backticks, as `val_fraction`. This turns it into the flag
// --val_fraction.
std::string with_flag_names(const std::string& sentence);

// Throws UsageError if `word` is not one of `words`.
void check_choice(const std::string& flag, const std::string& word, const std::vector<std::string>& words);

template <class Values>
std::vector<std::string> words_of(const Values& values) {
  std::vector<std::string> words;
  words.reserve(values.size());
  for (const auto& value : values) words.emplace_back(to_string(value));
  return words;
}

// The value whose to_string() is `word`.
template <class Values>
auto chosen(const std::string& flag, const std::string& word, const Values& values) {
  check_choice(flag, word, words_of(values));
  return *std::find_if(values.begin(), values.end(), [&](auto value) { return word == to_string(value); });
}

template <class T, class Values>
FlagVariable choice(T& variable, const Values& values) {
  FlagVariable erased;
  erased.words = words_of(values);
  erased.set = [&variable, values](const std::string& flag, const std::string& word) {
    variable = chosen(flag, word, values);
  };
  erased.get = [&variable] { return std::string(to_string(variable)); };
  return erased;
}

template <class T, class Values>
FlagVariable choice(std::optional<T>& variable, const Values& values) {
  FlagVariable erased;
  erased.words = words_of(values);
  erased.words.emplace_back("auto");
  erased.set = [&variable, values, words = erased.words](const std::string& flag, const std::string& word) {
    check_choice(flag, word, words);
    variable.reset();
    if (word != "auto") variable = chosen(flag, word, values);
  };
  erased.get = [&variable] { return std::string(variable ? to_string(*variable) : "auto"); };
  return erased;
}

template <class T, class Values>
FlagVariable choices(std::vector<T>& variable, const Values& values) {
  FlagVariable erased;
  erased.is_list = true;
  erased.words = words_of(values);
  erased.set = [&variable, values](const std::string& flag, const std::string& text) {
    variable.clear();
    for (const std::string& word : split_list(text)) variable.push_back(chosen(flag, word, values));
  };
  erased.get = [&variable] { return join_list(words_of(variable)); };
  return erased;
}

}  // namespace tdds
