#include "apps/cli/flags.h"

#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <type_traits>

#include "engine/io/json_text.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

template <class T>
concept List = requires(T list) {
  list.push_back(list.front());
}
&&!std::is_same_v<T, std::string>;
template <class T>
concept Optional = requires(T optional) {
  optional.reset();
};

// Parses the whole of `text` as a number. Returns std::errc{} on success.
template <class T>
std::errc parse(const std::string& text, T& value) {
  const char* begin = text.data() + (text.starts_with('+') && !text.starts_with("+-"));
  const char* end = text.data() + text.size();
  const auto [next, error] = std::from_chars(begin, end, value);
  return error == std::errc() && next != end ? std::errc::invalid_argument : error;
}

template <class T>
T whole_number(const std::string& flag, const std::string& text) {
  T value = 0;
  const std::errc error = parse(text, value);
  const bool negative = text.starts_with('-');
  check_usage(std::is_signed_v<T> || !negative, "--{} is {}; give a whole number of at least 0", flag, text);
  check_usage(error != std::errc::result_out_of_range, "--{} is {}; the {} whole number that it takes is {}",
              flag, text, negative ? "smallest" : "largest",
              negative ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max());
  check_usage(error == std::errc(), "--{} is '{}'; give a whole decimal number", flag, text);
  return value;
}

double finite_number(const std::string& flag, const std::string& text) {
  double value = 0;
  const std::errc error = parse(text, value);
  check_usage(error != std::errc::invalid_argument, "--{} is '{}'; give a decimal number", flag, text);
  check_usage(error == std::errc() && std::abs(value) <= std::numeric_limits<float>::max(),
              "--{} is {}; give a finite number", flag, text);
  return value;
}

template <class T>
T value_of(const std::string& flag, const std::string& text) {
  if constexpr (std::is_same_v<T, bool>) {
    check_choice(flag, text, {"true", "false"});
    return text == "true";
  } else if constexpr (List<T>) {
    T list;
    for (const std::string& word : split_list(text))
      list.push_back(value_of<typename T::value_type>(flag, word));
    return list;
  } else if constexpr (Optional<T>) {
    return text.empty() ? T() : T(value_of<typename T::value_type>(flag, text));
  } else if constexpr (std::is_integral_v<T>) {
    return whole_number<T>(flag, text);
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(finite_number(flag, text));
  } else {
    return text;
  }
}

template <class T>
std::string text_of(const T& value) {
  if constexpr (List<T>)
    return fmt::format("{}", fmt::join(value, ","));
  else if constexpr (Optional<T>)
    return value ? text_of(*value) : "";
  else
    return fmt::format("{}", value);
}

template <class T>
const char* type_of() {
  if constexpr (List<T> || Optional<T>)
    return type_of<typename T::value_type>();
  else if constexpr (std::is_integral_v<T>)
    return std::is_signed_v<T> ? "INT" : "UINT";
  else
    return std::is_floating_point_v<T> ? "FLOAT" : "TEXT";
}

}  // namespace

template <class T>
FlagVariable::FlagVariable(T* variable) : type(type_of<T>()), is_list(List<T>) {
  if constexpr (std::is_same_v<T, bool>) on = variable;
  set = [variable](const std::string& flag, const std::string& text) { *variable = value_of<T>(flag, text); };
  get = [variable] { return text_of(*variable); };
}

template FlagVariable::FlagVariable(bool*);
template FlagVariable::FlagVariable(std::int32_t*);
template FlagVariable::FlagVariable(std::int64_t*);
template FlagVariable::FlagVariable(std::uint64_t*);
template FlagVariable::FlagVariable(double*);
template FlagVariable::FlagVariable(std::string*);
template FlagVariable::FlagVariable(std::optional<std::int32_t>*);
template FlagVariable::FlagVariable(std::optional<std::uint64_t>*);
template FlagVariable::FlagVariable(std::optional<double>*);
template FlagVariable::FlagVariable(std::vector<std::int32_t>*);
template FlagVariable::FlagVariable(std::vector<std::uint64_t>*);
template FlagVariable::FlagVariable(std::vector<float>*);
template FlagVariable::FlagVariable(std::vector<double>*);
template FlagVariable::FlagVariable(std::vector<std::string>*);

FlagVariable word_choice(std::string& variable, const std::vector<std::string>& words) {
  FlagVariable erased(&variable);
  erased.words = words;
  erased.set = [&variable, words](const std::string& flag, const std::string& word) {
    check_choice(flag, word, words);
    variable = word;
  };
  return erased;
}

void check_choice(const std::string& flag, const std::string& word, const std::vector<std::string>& words) {
  check_usage(std::find(words.begin(), words.end(), word) != words.end(), "--{} is '{}'; choose {} or {}",
              flag, word, fmt::join(words.begin(), words.end() - 1, ", "), words.back());
}

std::string with_flag_names(const std::string& sentence) {
  constexpr const char* kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  std::string named;
  for (std::size_t at = 0; at < sentence.size(); ++at) {
    const std::size_t end = sentence[at] == '`' ? sentence.find_first_not_of(kLetters, at + 1) : at;
    const bool is_setting = end != std::string::npos && end > at + 1 && sentence[end] == '`';
    named += is_setting ? "--" + sentence.substr(at + 1, end - at - 1) : sentence.substr(at, 1);
    if (is_setting) at = end;
  }
  return named;
}

std::vector<std::string> split_list(const std::string& text) {
  const bool brackets = text == "{}" || (text.size() >= 2 && text.front() == '[' && text.back() == ']');
  std::istringstream stream(brackets ? text.substr(1, text.size() - 2) : text);
  std::vector<std::string> words;
  for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
  if (text.ends_with(',')) words.emplace_back();
  return words;
}

std::string join_list(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ","));
}

void append(FlagTable& flags, FlagTable more) {
  std::move(more.begin(), more.end(), std::back_inserter(flags));
}

FlagTable grouped(const std::string& group, FlagTable flags) {
  for (Flag& flag : flags) flag.group = group;
  return flags;
}

FlagTable advanced(FlagTable flags) {
  for (Flag& flag : flags) flag.advanced = true;
  return flags;
}

const Flag* find_flag(const FlagTable& flags, const std::string& name) {
  const auto found =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == flags.end() ? nullptr : &*found;
}

FlagTexts texts_of(const FlagTable& flags) {
  FlagTexts texts;
  for (const Flag& flag : flags) texts.emplace_back(flag.name, flag.variable.get());
  return texts;
}

const std::string* find_text(const FlagTexts& texts, const std::string& name) {
  for (const auto& [flag, text] : texts)
    if (flag == name) return &text;
  return nullptr;
}

nlohmann::ordered_json to_json(const FlagTexts& texts) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [flag, text] : texts) json[flag] = text;
  return json;
}

FlagTexts texts_from_json(const nlohmann::ordered_json& json) {
  FlagTexts texts;
  if (!json.is_object()) return texts;
  for (const auto& [flag, text] : json.items())
    if (text.is_string()) texts.emplace_back(flag, bytes_of_utf8(text.get_ref<const std::string&>()));
  return texts;
}

void declare_flags(CLI::App& app, const FlagTable& flags) {
  for (const Flag& flag : flags) {
    const std::string name = "--" + flag.name;
    if (flag.variable.on != nullptr) {
      app.add_flag(name, *flag.variable.on);
      continue;
    }
    const CLI::callback_t take = [flag](const CLI::results_t& words) {
      flag.variable.set(flag.name, join_list(words));
      return true;
    };
    CLI::Option* option = app.add_option(name, take);
    if (flag.variable.is_list) option->expected(CLI::detail::expected_max_vector_size);
  }
}

}  // namespace tdds
