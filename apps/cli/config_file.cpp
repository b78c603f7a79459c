#include "apps/cli/config_file.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <vector>

#include "apps/cli/cli.h"
#include "apps/cli/unknown_flag.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "engine/io/text_lines.h"

namespace tdds {
namespace {

constexpr std::uint64_t kLargestConfig = std::uint64_t{1} << 20;
constexpr const char* kConfig = "config";
constexpr const char* kSaveConfig = "save_config";

std::string trimmed(std::string_view text) {
  constexpr const char* kSpaces = " \t\r";
  const std::size_t begin = std::min(text.find_first_not_of(kSpaces), text.size());
  text.remove_prefix(begin);
  return std::string(text.substr(0, text.find_last_not_of(kSpaces) + 1));
}

bool is_name(const std::string& key) {
  constexpr const char* kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !key.empty() && key.find_first_not_of(kLetters) == std::string::npos;
}

// A line without its comment, and what keeps it from being read.
struct Line {
  std::string text, problem;
};

// Versions of CLI11 differ in the escapes that they know and in whether # begins a comment within quotes, so
// neither is passed on to it.
Line without_comment(const std::string& line) {
  char quote = '\0';
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char c = line[at];
    if (quote == '\0' && c == '#') return {trimmed(std::string_view(line).substr(0, at)), ""};
    if (quote != '\0' && c == '#') return {line, "has a # in quotes; write it as \\x23 in single quotes"};
    if (quote == '"' && c == '\\') return {line, "has a backslash in double quotes; use single quotes"};
    if (quote == c)
      quote = '\0';
    else if (quote == '\0' && (c == '"' || c == '\''))
      quote = c;
  }
  return {line, quote == '\0' ? "" : "has a quote that is not closed"};
}

struct Entry {
  std::string name, value;  // the name has underscores; the value is as in the file, a list on one line
  std::size_t line = 0;
};

class ConfigReader {
 public:
  ConfigReader(const std::string& path, const FlagTable& flags) : path_(path), flags_(flags) {
    const std::string text = read_file(path, kLargestConfig);
    for (const std::string_view line : lines_of(text)) lines_.push_back(trimmed(line));
    for (std::size_t at = 0; at < lines_.size(); ++at)
      if (!lines_[at].empty() && !lines_[at].starts_with('#')) add_entry(at);
  }

  // Calls `set` with each flag of the file and its value.
  template <class Set>
  void for_each(const Set& set) const {
    const std::vector<CLI::ConfigItem> items = parsed();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      if (i >= items.size() || items[i].fullname() != entry.name) refuse(entry.line, "is not TOML");
      const Flag& flag = *find_flag(flags_, entry.name);
      if (!flag.variable.is_list && (entry.value.starts_with('[') || items[i].inputs.size() != 1))
        refuse(entry.line, "gives several values to a flag of one; a text with spaces needs quotes");
      try {
        set(flag, bytes_of_utf8(join_list(items[i].inputs)));
      } catch (const UsageError& error) {
        refuse_because(entry.line, error.what());
      }
    }
  }

 private:
  [[noreturn]] void refuse_because(std::size_t line, const std::string& reason) const {
    throw UsageError(fmt::format("{}, line {}: {}", path_, line, reason));
  }
  [[noreturn]] void refuse(std::size_t line, const std::string& reason) const {
    refuse_because(line, fmt::format("'{}' {}", line_of(lines_[line - 1]), reason));
  }

  std::string code_of(std::size_t at) const {
    const Line line = without_comment(lines_[at]);
    if (!line.problem.empty()) refuse(at + 1, line.problem);
    return line.text;
  }

  // CLI11 reports no lines, so keys and lines are found here. `at` is moved to the last line of a list.
  void add_entry(std::size_t& at) {
    const std::string line = code_of(at);
    const std::size_t number = at + 1, equals = std::min(line.find('='), line.size());
    if (line.starts_with('[')) refuse(number, "begins a section; this file has none");
    std::string name = trimmed(std::string_view(line).substr(0, equals));
    if (name.size() > 2 && (name.front() == '"' || name.front() == '\'') && name.front() == name.back())
      name = name.substr(1, name.size() - 2);
    if (equals == line.size() || !is_name(name)) refuse(number, "is not `flag = value`");
    std::replace(name.begin(), name.end(), '-', '_');
    std::string value = trimmed(std::string_view(line).substr(equals + 1));
    if (value.empty()) refuse(number, "has no value");
    while (value.starts_with('[') && !value.ends_with(']')) {
      if (++at == lines_.size()) refuse(number, "begins a list that does not end");
      value += " " + code_of(at);
    }
    check_name(name, number);
    entries_.push_back({std::move(name), std::move(value), number});
  }

  void check_name(const std::string& name, std::size_t line) const {
    if (name == kConfig || name == kSaveConfig)
      refuse(line, fmt::format("is not for a file; give --{} on the command line", name));
    std::vector<std::string> known;
    for (const Flag& flag : flags_) known.push_back(flag.name);
    if (find_flag(flags_, name) == nullptr) refuse_because(line, no_such_flag(name, known));
    for (const Entry& before : entries_)
      if (before.name == name)
        refuse(line, fmt::format("gives {} a second time; the first is in line {}", name, before.line));
  }

  std::vector<CLI::ConfigItem> parsed() const {
    std::stringstream text;
    for (const Entry& entry : entries_) text << entry.name << " = " << entry.value << '\n';
    try {
      return CLI::ConfigTOML().from_config(text);
    } catch (const CLI::ParseError& error) {
      throw UsageError(fmt::format("{} is not TOML: {}", path_, error.what()));
    }
  }

  std::string path_;
  const FlagTable& flags_;
  std::vector<std::string> lines_;
  std::vector<Entry> entries_;
};

// In single quotes. Everything that a reader of TOML might take for something else is escaped.
std::string literal(std::string_view bytes) {
  constexpr std::string_view kSpecial = "'\"#`[](){}";
  const std::string line = line_of(bytes);
  std::string text = "'";
  for (std::size_t at = 0; at < line.size(); ++at) {
    const bool last = at + 1 == line.size();
    if (kSpecial.find(line[at]) != std::string_view::npos || (last && line[at] == '\\'))
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(line[at]));
    else
      text += line[at];
  }
  return text + "'";
}

// A choice may start without a value, which cannot be given.
bool is_unset(const FlagVariable& variable, const std::string& text) {
  const std::vector<std::string>& words = variable.words;
  return !variable.is_list && !words.empty() && std::find(words.begin(), words.end(), text) == words.end();
}

std::string toml(const FlagVariable& variable, const std::string& text) {
  const bool is_text = variable.type == std::string_view("TEXT");
  if (variable.on != nullptr) return text;
  if (!variable.is_list) return is_text || text.empty() ? literal(text) : text;
  std::vector<std::string> words = split_list(text);
  if (is_text)
    for (std::string& word : words) word = literal(word);
  return fmt::format("[{}]", fmt::join(words, ", "));
}

}  // namespace

FlagTable config_flags(ConfigFlags& config) {
  return grouped("Configuration",
                 {{kConfig, &config.config,
                   "TOML file of flags, a `flag = value` a line. Flags on the command line win. A relative "
                   "path in it begins in the current folder.",
                   FlagScope::kStart},
                  {kSaveConfig, &config.save_config,
                   "Write all flags to this file, for --config. `auto` is written as what it became.",
                   FlagScope::kStart}});
}

void read_config(const std::string& path, const FlagTable& flags, std::set<std::string>& given) {
  std::set<std::string> named;
  ConfigReader(path, flags).for_each([&](const Flag& flag, const std::string& text) {
    const std::string now = flag.variable.get();
    flag.variable.set(flag.name, text);
    if (given.contains(flag.name)) flag.variable.set(flag.name, now);
    named.insert(flag.name);
  });
  given.merge(named);
}

std::string config_text(const std::string& program, const FlagTable& flags, const FlagTexts& texts) {
  std::string text = fmt::format("# {} {}\n", program, version_text());
  std::string group;
  for (const auto& [name, value] : texts) {
    const Flag* flag = find_flag(flags, name);
    if (!flag || name == kConfig || name == kSaveConfig || is_unset(flag->variable, value)) continue;
    if (flag->group != group) text += fmt::format("\n# {}\n", flag->group);
    group = flag->group;
    text += fmt::format("{} = {}\n", name, toml(flag->variable, value));
  }
  return text;
}

void save_config(const std::string& path, const std::string& program, const FlagTable& flags,
                 const FlagTexts& texts) {
  if (path.empty()) return;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) make_folder(folder);
  write_file_atomically(path, config_text(program, flags, texts));
}

}  // namespace tdds
