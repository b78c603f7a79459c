#pragma once
// Flags in a file: TOML, a `flag = value` a line, as --save_config writes it and --config reads it.
//
//   # tdds-train 0.1.0 (git 1a2b3c4)
//   dataset = 'shapes'
//   epochs = 20
//   dynamics = true
//   corrupt = ['fog', 'occlusion']
//
// A text is in quotes. In it, \xHH is a byte, as in JSON (engine/io/json_text.h). The file has no sections.

#include <set>
#include <string>

#include "apps/cli/flags.h"

namespace tdds {

struct ConfigFlags {
  std::string config, save_config;  // files, or empty
};

// The rows --config and --save_config, which every program has.
FlagTable config_flags(ConfigFlags& config);

// Sets the flags of the file `path` whose names are not in `given`, and adds all names of the file to it.
// Throws UsageError, naming the file and the line, for an unknown flag, one that is there twice, a value that
// the flag does not take, and a line that is not TOML; Error if the file cannot be read.
void read_config(const std::string& path, const FlagTable& flags, std::set<std::string>& given);

// The file for `texts`, values of flags of the table. Those of one command line, config and save_config, are
// left out.
std::string config_text(const std::string& program, const FlagTable& flags, const FlagTexts& texts);

// Writes it to `path` and makes its folder; "" writes nothing. run_program does so when the flags are parsed.
// A program that resolves flags further, as --device auto, does it again.
void save_config(const std::string& path, const std::string& program, const FlagTable& flags,
                 const FlagTexts& texts);

}  // namespace tdds
