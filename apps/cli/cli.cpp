#include "apps/cli/cli.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <numeric>
#include <set>
#include <string_view>

#include "apps/cli/help.h"
#include "apps/cli/output.h"
#include "apps/version.h"
#include "engine/io/system_reason.h"

namespace tdds {
namespace {

// Levenshtein distance: how many letters to insert, delete or replace to turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

std::vector<std::string> long_flags(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  return flags;
}

std::string suggestion(const CLI::App& app, const std::string& flag) {
  std::string nearest;
  std::size_t least = 1 + flag.size() / 3;
  for (const std::string& known : long_flags(app)) {
    // A prefix is probably an abbreviation, which Python's argparse accepts.
    const std::size_t distance = known.starts_with(flag) ? 1 : edit_distance(flag, known);
    if (distance < least) {
      least = distance;
      nearest = known;
    }
  }
  return nearest.empty() ? "" : fmt::format("did you mean {}? ", nearest);
}

bool is_long_flag(const std::string& argument) {
  return argument.starts_with("--");
}

// CLI11 joins the values of a list that is given twice. Here the last list counts, as for other flags.
void drop_repeated_lists(const CLI::App& app, std::vector<std::string>& arguments) {
  std::set<const CLI::Option*> seen;
  for (auto at = arguments.end(); at != arguments.begin();) {
    --at;
    if (!is_long_flag(*at) || *at == "--") continue;
    const CLI::Option* option = app.get_option_no_throw(at->substr(0, at->find('=')));
    if (option == nullptr || option->get_expected_max() <= 1 || seen.insert(option).second) continue;
    at = arguments.erase(at, std::find_if(at + 1, arguments.end(), is_long_flag));
  }
}

// The arguments in reverse order, as CLI11 expects them, with long flags in their declared spelling.
std::vector<std::string> normalised(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  for (std::string& argument : arguments) {
    if (argument == "--") break;
    if (!is_long_flag(argument)) continue;
    const auto name_end = std::find(argument.begin(), argument.end(), '=');
    std::replace(argument.begin() + 2, name_end, '-', '_');
    const std::string flag(argument.begin(), name_end);
    check_usage(app.get_option_no_throw(flag) != nullptr, "there is no flag {}: {}--help-all lists all flags",
                flag, suggestion(app, flag));
  }
  drop_repeated_lists(app, arguments);
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

void take_earlier(const CLI::App& app, const FlagTable& flags, EarlierFlags& earlier) {
  for (const auto& [name, text] : earlier.find(texts_of(flags))) {
    const Flag* flag = find_flag(flags, name);
    if (!flag || app.count("--" + name) > 0) continue;
    const std::string preset = flag->variable.get();
    flag->variable.set(name, text);
    if (flag->variable.get() != preset) earlier.taken.emplace_back(name, flag->variable.get());
  }
}

// Prints one line: control characters become spaces.
void complain(const std::string& program, std::string sentence) {
  sentence = with_flag_names(sentence);
  std::replace_if(
      sentence.begin(), sentence.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  // Not fmt::print: it throws if stderr cannot be written, and the exit code must still be right.
  std::fputs(fmt::format("{}: {}\n", program, sentence).c_str(), stderr);
}

int parse_and_run(int argc, const char* const* argv, const ProgramInfo& info, const FlagTable& flags,
                  const std::function<int()>& run, EarlierFlags* earlier) {
  if (earlier) earlier->defaults = texts_of(flags);
  CLI::App app(info.purpose, info.name);
  app.set_help_flag("-h,--help");
  app.set_help_all_flag("--help_all");
  app.set_version_flag("--version", fmt::format("{} {}", info.name, version_text()));
  app.option_defaults()->take_last();
  declare_flags(app, flags);
  try {
    app.parse(normalised(app, argc, argv));
    if (earlier) take_earlier(app, flags, *earlier);
  } catch (const CLI::CallForHelp&) {
    print_out("{}", help_text(info, flags, false));
    return 0;
  } catch (const CLI::CallForAllHelp&) {
    print_out("{}", help_text(info, flags, true));
    return 0;
  } catch (const CLI::CallForVersion& version) {
    print_out("{}\n", version.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{}; --help-all lists all flags", error.what()));
  }
  return run();
}

}  // namespace

std::string version_text() {
  std::string text = version::kProject;
  if (*version::kGit) text += fmt::format(" (git {})", version::kGit);
  return text + fmt::format(", {}, oneDNN {}, {}", version::kCompiler, version::kOneDnn, version::kCuda);
}

int run_program(int argc, const char* const* argv, const ProgramInfo& info, const FlagTable& flags,
                const std::function<int()>& run, EarlierFlags* earlier) {
  std::signal(SIGXFSZ, SIG_IGN);
  reserve_standard_streams();
  int code = 1;
  try {
    code = parse_and_run(argc, argv, info, flags, run, earlier);
  } catch (const Interrupted& interrupted) {
    complain(info.name, interrupted.what());
    code = interrupted.exit_code();
  } catch (const UsageError& error) {
    complain(info.name, error.what());
    code = 2;
  } catch (const std::bad_alloc&) {
    complain(info.name,
             "there is not enough memory; a smaller --batch_size or --max_train_samples needs less");
    code = 1;
  } catch (const std::filesystem::filesystem_error& error) {
    complain(info.name,
             fmt::format("{} cannot be used: {}", error.path1().string(),
                         system_reason(error.code().value(), "check the path and its permissions")));
    code = 1;
  } catch (const std::exception& error) {
    complain(info.name, error.what());
    code = 1;
  }
  if (flush_output() || code != 0) return code;
  complain(info.name,
           "the standard output cannot be written, so the printed text is incomplete; all other work is "
           "done; free space on its device, or redirect it");
  return 1;
}

}  // namespace tdds
