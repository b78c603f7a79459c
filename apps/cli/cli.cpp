#include "apps/cli/cli.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>
#include <set>
#include <thread>

#include "apps/cli/config_file.h"
#include "apps/cli/help.h"
#include "apps/cli/output.h"
#include "apps/cli/unknown_flag.h"
#include "apps/version.h"
#include "engine/io/system_reason.h"
#include "kernels/ranks/ranks.h"

namespace tdds {
namespace {

std::vector<std::string> names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  return names;
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
    if (app.get_option_no_throw(flag) == nullptr)
      throw UsageError(no_such_flag(flag.substr(2), names_of(app)));
  }
  drop_repeated_lists(app, arguments);
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

// Names of flags, without dashes.
using Names = std::set<std::string>;

// The flags that the command line or the file of --config gives.
Names given_flags(const CLI::App& app, const FlagTable& flags) {
  Names given;
  for (const Flag& flag : flags)
    if (app.count("--" + flag.name) > 0) given.insert(flag.name);
  const Flag* config = find_flag(flags, "config");
  if (config && !config->variable.get().empty()) read_config(config->variable.get(), flags, given);
  for (const Flag& flag : flags)
    check_usage(flag.needs.empty() || !given.contains(flag.name) || given.contains(flag.needs),
                "--{} has no effect without --{}: give both, or neither", flag.name, flag.needs);
  return given;
}

void take_earlier(const FlagTable& flags, const Names& given, EarlierFlags& earlier) {
  for (const auto& [name, text] : earlier.find(texts_of(flags))) {
    const Flag* flag = find_flag(flags, name);
    if (!flag || given.contains(name)) continue;
    const std::string preset = flag->variable.get();
    flag->variable.set(name, text);
    if (flag->variable.get() != preset) earlier.taken.emplace_back(name, flag->variable.get());
  }
}

// 0 also where there is one process.
int own_rank() {
  const std::optional<Launched> launched = launched_rank();
  return launched ? launched->rank : 0;
}

// Prints one line: control characters become spaces. What fails on one rank often fails on all of them. Rank
// 0 speaks at once and then ends the others, so they are heard only where it has nothing to say.
void complain(std::string program, std::string sentence) {
  if (const int rank = own_rank(); rank > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2000 + 20 * rank));
    program += fmt::format(", rank {}", rank);
  }
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
  const Names given = given_flags(app, flags);
  if (earlier) take_earlier(flags, given, *earlier);
  if (const Flag* save = find_flag(flags, "save_config"))
    save_config(save->variable.get(), info.name, flags, texts_of(flags));
  return run();
}

}  // namespace

std::string version_text() {
  std::string text = version::kProject;
  if (*version::kGit) text += fmt::format(" (git {})", version::kGit);
  return text + fmt::format(", {}, oneDNN {}, {}, {}", version::kCompiler, version::kOneDnn, version::kCuda,
                            mpi_version());
}

int run_program(int argc, const char* const* argv, const ProgramInfo& info, const FlagTable& flags,
                const std::function<int()>& run, EarlierFlags* earlier) {
  std::signal(SIGXFSZ, SIG_IGN);
  reserve_standard_streams();
  int code = 1;
  try {
    code = parse_and_run(argc, argv, info, flags, run, earlier);
  } catch (const Interrupted& interrupted) {
    // All ranks have the same exit code, of which MPICH's mpirun takes one and Open MPI's the first that is
    // not 0. The latter then ends the others, so rank 0 speaks first.
    if (own_rank() == 0)
      complain(info.name, interrupted.what());
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    end_all_ranks(interrupted.exit_code());  // unless they have agreed to end
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
  const bool written = flush_output();
  if (code != 0) end_all_ranks(code);
  if (written || code != 0) return code;
  complain(info.name,
           "the standard output cannot be written, so the printed text is incomplete; all other work is "
           "done; free space on its device, or redirect it");
  return 1;
}

}  // namespace tdds
