#pragma once
// What every program's main has in common: flags, --help, --help-all, --version, errors as one sentence and
// an exit code. A table with the rows of apps/cli/config_file.h has --config and --save_config too.
//
// Exit codes: 0 done; 1 the run failed (bad data, full disk, absent device, no memory), or it succeeded but
// the standard output could not be written; 2 the command line is wrong; 128 + signal interrupted. In a long
// flag, `_` and `-` are alike: declare flags with `_`. The last of a repeated flag counts. SIGXFSZ is
// ignored, so that a file-size limit is an error of write().
//
//   int main(int argc, char** argv) {
//     Options options;
//     const tdds::FlagTable flags{{"epochs", &options.epochs, "How many epochs to train."}};
//     return tdds::run_program(argc, argv, {"tdds-train", "Trains a network."}, flags,
//                              [&] { train(options); return 0; });
//   }

#include <functional>
#include <string>

#include "apps/cli/flags.h"
#include "kernels/runtime/check.h"

namespace tdds {

struct ProgramInfo {
  std::string name;
  std::string purpose;        // full sentences, shown by --help
  std::string examples = {};  // shown verbatim at the end of --help
};

// Values from an earlier start, for the flags that this start leaves out, on the command line and in the file
// of --config.
struct EarlierFlags {
  // Takes the parsed flags and returns the recorded ones, or nothing if no earlier start is continued. Flags
  // that the program does not have are ignored.
  std::function<FlagTexts(const FlagTexts& flags)> find;
  FlagTexts taken = {};     // set before `run` is called: the values that replaced a default
  FlagTexts defaults = {};  // likewise: every flag's default
};

// Parses the command line into the variables of `flags`, whose initial values are the defaults, and calls
// `run`.
int run_program(int argc, const char* const* argv, const ProgramInfo& info, const FlagTable& flags,
                const std::function<int()>& run, EarlierFlags* earlier = nullptr);

// Thrown after a signal has stopped the work and it is saved. The sentence says how to continue.
class Interrupted : public Error {
 public:
  Interrupted(const std::string& sentence, int exit_code) : Error(sentence), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// "0.1.0 (git 1a2b3c4), GNU 12.2.0 Release, oneDNN 2.6.3, no CUDA": one line, also for the log.
std::string version_text();

}  // namespace tdds
