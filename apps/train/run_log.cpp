#include "apps/train/run_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <ctime>

#include "apps/cli/output.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"

namespace tdds {
namespace {

constexpr std::uint64_t kLargestMetrics = std::uint64_t{1} << 30;

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", local);
}

// The lines of epochs before `first_epoch`. A line that a crash cut short is not JSON, and is dropped.
std::string kept_metrics(const std::string& text, int first_epoch) {
  std::string kept;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line(text.data() + begin, end - begin);
    const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (object.is_object() && object.contains("epoch") && object["epoch"].is_number_integer() &&
        object["epoch"].get<std::int64_t>() < first_epoch)
      kept.append(line).push_back('\n');
  }
  return kept;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& folder, const ProgramInfo& program, const FlagTexts& options,
               std::string_view device_description, bool console)
    : folder_(folder), console_(console) {
  make_folder(folder_);
  std::string heading = fmt::format("# {} {}\n# started {}\n", program.name, version_text(), now_text());
  heading += fmt::format("# device: {}\n", device_description);
  for (const auto& [name, value] : options) heading += fmt::format("#   --{} {}\n", name, line_of(value));
  append_to_file(folder_ / "log.txt", heading);
}

void RunLog::begin_metrics(int first_epoch) {
  const auto metrics = folder_ / "metrics.jsonl";
  const bool keep = first_epoch > 0 && std::filesystem::exists(metrics);
  write_file_atomically(metrics, keep ? kept_metrics(read_file(metrics, kLargestMetrics), first_epoch) : "");
}

void RunLog::say(std::string_view sentence) {
  const std::string line = with_flag_names(std::string(sentence));
  if (console_) {
    print_out("{}\n", line);
    flush_output();
  }
  note(line);
}

void RunLog::note(std::string_view line) {
  append_to_file(folder_ / "log.txt", fmt::format("{}  {}\n", now_text(), line_of(line)));
}

void RunLog::add_metrics(const nlohmann::ordered_json& object) {
  check(object.is_object() && object.contains("epoch") && object["epoch"].is_number_integer(),
        "add_metrics: a line of metrics.jsonl needs an integer \"epoch\"");
  append_to_file(folder_ / "metrics.jsonl", json_text(object) + "\n");
}

}  // namespace tdds
