#include "apps/cli/help.h"

#include <fmt/ranges.h>

#include <sstream>

namespace tdds {
namespace {

constexpr std::size_t kWidth = 80;   // of a terminal
constexpr std::size_t kColumn = 30;  // where descriptions begin

// "  --budget epochs|steps [epochs]". The type replaces the choices if they are too long or any value is
// accepted.
std::string heading_of(const Flag& flag, bool show_choices) {
  if (flag.variable.on != nullptr) return "  --" + flag.name;
  const std::string preset = flag.variable.get();
  return fmt::format(
      "  --{} {}{}", flag.name,
      show_choices ? fmt::format("{}", fmt::join(flag.variable.words, "|")) : flag.variable.type,
      preset.empty() ? "" : fmt::format(" [{}]", preset));
}

std::string description_of(const Flag& flag, bool all, bool show_choices) {
  std::string text = all ? flag.help : flag.help.substr(0, flag.help.find(". "));
  if (!text.ends_with('.')) text += '.';
  const FlagVariable& variable = flag.variable;
  if (show_choices && !variable.words.empty())
    text +=
        fmt::format(" {}: {}.", variable.is_list ? "A list of" : "Choices", fmt::join(variable.words, ", "));
  return text;
}

// The description stands beside the heading, or below one that is too long.
std::string entry(const std::string& heading, const std::string& description) {
  const std::string lines = wrapped(description, kColumn, kWidth);
  if (heading.size() + 2 > kColumn) return heading + "\n" + lines;
  return heading + lines.substr(heading.size());
}

std::string entry(const Flag& flag, bool all) {
  const FlagVariable& variable = flag.variable;
  const std::string heading = heading_of(flag, !variable.words.empty() && !variable.is_list);
  if (heading.size() + 2 <= kColumn) return entry(heading, description_of(flag, all, variable.is_list));
  return entry(heading_of(flag, false), description_of(flag, all, true));
}

std::vector<std::string> groups_of(const FlagTable& flags) {
  std::vector<std::string> groups;
  for (const Flag& flag : flags)
    if (std::find(groups.begin(), groups.end(), flag.group) == groups.end()) groups.push_back(flag.group);
  return groups;
}

}  // namespace

std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::istringstream words(text);
  std::string lines, word;
  std::size_t column = 0;
  while (words >> word) {
    if (column > 0 && column + 1 + word.size() <= width) {
      lines += " " + word;
      column += 1 + word.size();
    } else {
      if (column > 0) lines += "\n";
      lines += std::string(indent, ' ') + word;
      column = indent + word.size();
    }
  }
  return lines + "\n";
}

std::string help_text(const ProgramInfo& info, const FlagTable& flags, bool all) {
  std::string text = wrapped(info.purpose, 0, kWidth);
  text += fmt::format("\nUsage: {} [FLAGS]\n", info.name);
  for (const std::string& group : groups_of(flags)) {
    std::string entries;
    for (const Flag& flag : flags)
      if (flag.group == group && (all || !flag.advanced)) entries += entry(flag, all);
    if (!entries.empty()) text += fmt::format("\n{}:\n{}", group, entries);
  }
  text += "\nHelp:\n" + entry("  -h, --help", "Show the most used flags.") +
          entry("  --help-all", "Show all flags, described in full.") +
          entry("  --version", "Show the versions of the program and its libraries.");
  text += "\nA list is joined by commas. In a flag's name, - and _ are alike.\n";
  if (!info.examples.empty()) text += fmt::format("\nExamples:\n{}", info.examples);
  return text;
}

}  // namespace tdds
