#pragma once
// The log of a run for people and for programs: <folder>/log.txt and <folder>/metrics.jsonl.
//
// log.txt is only ever appended to; each start is headed by the version, the device and every option.
// metrics.jsonl holds one JSON object per line, each with an integer "epoch" (from 0).

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "apps/cli/cli.h"

namespace tdds {

class RunLog {
 public:
  // Makes the folder and adds the heading.
  RunLog(const std::filesystem::path& folder, const ProgramInfo& program, const FlagTexts& options,
         std::string_view device_description, bool console = true);

  // Drops the lines of metrics.jsonl with "epoch" >= `first_epoch`, and a last line that a crash cut short. 0
  // drops all lines; a resumed run keeps those of the epochs that it does not repeat.
  void begin_metrics(int first_epoch);

  // Writes one line to the console (stdout), if there is one, and, with the time of day, to log.txt.
  void say(std::string_view sentence);
  // Writes only to log.txt.
  void note(std::string_view line);
  // Appends one object to metrics.jsonl. Throws Error if it has no integer "epoch".
  void add_metrics(const nlohmann::ordered_json& object);

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  bool console_;
};

}  // namespace tdds
