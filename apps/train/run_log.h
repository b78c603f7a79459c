#pragma once
// What a run leaves for people and for programs: <folder>/log.txt and <folder>/metrics.jsonl.
//
// log.txt is only ever appended to; each start is headed by the version, the device and every option.
// metrics.jsonl holds one JSON object a line, each with an integer "epoch" (from 0).

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

  // Drops the lines of metrics.jsonl with "epoch" >= `first_epoch`, and a last one that a crash cut short:
  // for 0 all of them, while a resumed run keeps those of the epochs that it does not repeat.
  void begin_metrics(int first_epoch);

  // One line to the console (stdout), where there is one, and, with the time of day, to log.txt.
  void say(std::string_view sentence);
  // To log.txt alone.
  void note(std::string_view line);
  // One object to metrics.jsonl. Throws Error where it has no integer "epoch".
  void add_metrics(const nlohmann::ordered_json& object);

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  bool console_;
};

}  // namespace tdds
