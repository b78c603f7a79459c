#pragma once
// What every program's main has in common: flags, help, --version, errors as one sentence and an exit code.
//
// Exit codes: 0 done; 1 the run failed (bad data, full disk, absent device, no memory); 2 the command line
// makes no sense; 128 + signal interrupted. In a long flag, `_` and `-` are alike: declare flags with `_`.
// The last of a repeated flag counts. SIGXFSZ is ignored, so that a file-size limit is an error of write().
//
//   int main(int argc, char** argv) {
//     Options options;
//     return tdds::run_program(
//         argc, argv, {"tdds-train", "Trains a network."},
//         [&](CLI::App& app) { app.add_option("--epochs", options.epochs, "How many epochs to train."); },
//         [&](const tdds::ResolvedOptions& resolved) { train(options, resolved); return 0; });
//   }

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/check.h"

namespace CLI {
class App;
}

namespace tdds {

struct ProgramInfo {
  std::string name;
  std::string purpose;        // full sentences, shown by --help
  std::string examples = {};  // shown at the end of --help, as it is
};

// Every flag, without its dashes, in the order of declaration, with the value that holds: given or default.
using ResolvedOptions = std::vector<std::pair<std::string, std::string>>;

// Declares the flags, parses, runs. Defaults are the values that the bound variables have when declared.
int run_program(int argc, const char* const* argv, const ProgramInfo& info,
                const std::function<void(CLI::App&)>& declare,
                const std::function<int(const ResolvedOptions&)>& run);

// Thrown after a signal was heeded and the work saved: the sentence says how to go on.
class Interrupted : public Error {
 public:
  Interrupted(const std::string& sentence, int exit_code) : Error(sentence), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// A check of CLI11's for a flag that takes a seed: CLI11 itself would take -1 for the largest number.
std::string no_negative_seed(const std::string& text);

// "0.1.0 (git 1a2b3c4), GNU 12.2.0 Release, oneDNN 2.6.3, no CUDA": one line, also for the log.
std::string version_text();

}  // namespace tdds
