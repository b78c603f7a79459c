#pragma once
// A program's flags as a table: what a flag is called, which variable it sets, what it decides. The command
// line, --help, logs, checkpoints and the records of sweeps read and write the variables through it alone, as
// text.

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

// A variable as text. A list is joined by commas; "" is an empty list or a number that is not given.
struct FlagVariable {
  // Of a bool (a switch), number, string, optional number, or list of numbers or strings. Numbers are
  // decimal, finite and within the range of their type (other numbers: float's).
  template <class T>
  FlagVariable(T* variable);  // NOLINT(google-explicit-constructor): rows of a table read better
  FlagVariable() = default;

  const char* type = "TEXT";  // INT, UINT, FLOAT or TEXT, for --help
  bool* on = nullptr;         // of a switch: the variable itself
  bool is_list = false;
  std::vector<std::string> words;  // the values that it takes, where these are few
  // Throws UsageError, naming `flag`, for a text that the variable does not take.
  std::function<void(const std::string& flag, const std::string& text)> set;
  std::function<std::string()> get;
};

// Where one of `values` is taken, a range of an enum's, each under the word that to_string() gives it.
template <class T, class Values>
FlagVariable choice(T& variable, const Values& values);
// Or none of them, under the word "auto".
template <class T, class Values>
FlagVariable choice(std::optional<T>& variable, const Values& values);
// A list of them.
template <class T, class Values>
FlagVariable choices(std::vector<T>& variable, const Values& values);
// Words that are their own values.
FlagVariable word_choice(std::string& variable, const std::vector<std::string>& words);

// What depends on a flag's value, and so whether it is remembered where a run or sweep goes on.
enum class FlagScope : std::uint8_t {
  kResult,  // the results: remembered, and it must stay the same
  kPlace,   // where data and outputs lie: remembered, and free to change
  kStart,   // one start of the program: forgotten
};

struct Flag {
  std::string name;  // without dashes
  FlagVariable variable;
  std::string help;  // --help shows the first sentence, --help-all the whole
  FlagScope scope = FlagScope::kResult;
  std::string group = "Flags";  // of --help
  std::string needs = {};       // the flag without which this one has no effect
  bool advanced = false;        // shown by --help-all alone
};
using FlagTable = std::vector<Flag>;

void append(FlagTable& flags, FlagTable more);
FlagTable grouped(const std::string& group, FlagTable flags);
FlagTable advanced(FlagTable flags);
// Null where there is none.
const Flag* find_flag(const FlagTable& flags, const std::string& name);

// Flags, without their dashes, with values as text.
using FlagTexts = std::vector<std::pair<std::string, std::string>>;
FlagTexts texts_of(const FlagTable& flags);
const std::string* find_text(const FlagTexts& texts, const std::string& name);

// An object of strings. A path may be any bytes: they survive both ways. What is no object holds no flags.
nlohmann::ordered_json to_json(const FlagTexts& texts);
FlagTexts texts_from_json(const nlohmann::ordered_json& json);

// Every flag becomes an option of `app`, which sets the variable when it parses.
void declare_flags(CLI::App& app, const FlagTable& flags);

// "a,b" as its words, and "[a,b]", as versions up to 0.1.0 wrote defaults; none of "", "[]" and "{}".
std::vector<std::string> split_list(const std::string& text);
std::string join_list(const std::vector<std::string>& words);

// Below the programs a sentence names a setting as `val_fraction`: here it becomes the flag, --val_fraction.
std::string with_flag_names(const std::string& sentence);

// Throws UsageError where `word` is none of `words`.
void check_choice(const std::string& flag, const std::string& word, const std::vector<std::string>& words);

template <class Values>
std::vector<std::string> words_of(const Values& values) {
  std::vector<std::string> words;
  words.reserve(values.size());
  for (const auto& value : values) words.emplace_back(to_string(value));
  return words;
}

// The value under that word.
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
