#include "apps/cli/help.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sstream>

#include "apps/cli/cli.h"

namespace tdds {
namespace {

constexpr std::size_t kWidth = 80;

std::string flag_heading(const CLI::Option& option) {
  std::string heading = "  " + option.get_name(false, true);
  for (std::size_t at = 0; (at = heading.find(",--", at)) != std::string::npos;) heading.insert(at + 1, " ");
  const bool is_switch = option.get_expected_min() == 0;
  if (!is_switch && !option.get_type_name().empty()) heading += " " + option.get_type_name();
  const std::string preset = option.get_default_str();
  if (!is_switch && !preset.empty()) heading += " [" + preset + "]";
  if (option.get_required()) heading += " (required)";
  return heading;
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

std::string help_text(const CLI::App& app, const ProgramInfo& info) {
  std::string text = wrapped(info.purpose, 0, kWidth);
  text += fmt::format("\nUsage: {} [FLAGS]; in a flag's name, _ and - are alike.\n", info.name);
  for (const std::string& group : app.get_groups()) {
    if (group.empty()) continue;
    text += fmt::format("\n{}:\n", group);
    for (const CLI::Option* option : app.get_options())
      if (option->get_group() == group)
        text += flag_heading(*option) + "\n" + wrapped(option->get_description(), 6, kWidth);
  }
  if (!info.examples.empty()) text += fmt::format("\nExamples:\n{}\n", info.examples);
  return text;
}

}  // namespace tdds
