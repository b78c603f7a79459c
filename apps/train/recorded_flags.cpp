#include "apps/train/recorded_flags.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "apps/train/run_fingerprint.h"
#include "apps/train/run_folder.h"
#include "apps/train/train_config.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "engine/io/safetensors.h"
#include "engine/io/text_lines.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kLargestLog = std::uint64_t{1} << 30;

bool is_of_one_start(const std::string& flag) {
  static TrainConfig any;
  static const FlagTable kFlags = [] {
    FlagTable flags = training_flags(any);
    append(flags, planning_flags(any));
    return flags;
  }();
  const Flag* known = find_flag(kFlags, flag);
  return known && known->scope == FlagScope::kStart;
}

std::string value_of(const FlagTexts& flags, const std::string& flag) {
  const std::string* text = find_text(flags, flag);
  return text ? *text : "";
}

void set(FlagTexts& flags, const std::string& flag, const std::string& value) {
  for (auto& [name, old] : flags)
    if (name == flag) {
      old = value;
      return;
    }
  flags.emplace_back(flag, value);
}

// The flags of the last training in log.txt: "# tdds-train 0.1.0 ...", then "#   --flag value" for every
// flag.
FlagTexts flags_of_log(const fs::path& path) {
  if (!fs::exists(path)) return {};
  constexpr std::string_view kProgram = "# tdds-", kFlag = "#   --";
  FlagTexts last, flags;
  const std::string text = read_file(path, kLargestLog);
  for (const std::string_view line : lines_of(text)) {
    if (line.starts_with(kProgram)) flags.clear();
    if (!line.starts_with(kFlag)) continue;
    const std::size_t space = std::min(line.find(' ', kFlag.size()), line.size());
    flags.emplace_back(line.substr(kFlag.size(), space - kFlag.size()),
                       line.substr(std::min(space + 1, line.size())));
    if (value_of(flags, "evaluate") == "false") last = flags;
  }
  return last;
}

// Takes flags from the identity of a checkpoint that does not record them. `auto` is resolved there.
void take_identity(const Json& identity, FlagTexts& flags) {
  if (!identity.is_object()) return;
  const auto take = [&](const char* key, const char* flag) {
    const Json value = identity.value(key, Json());
    if (value.is_string())
      set(flags, flag, value.get<std::string>());
    else if (const auto before = value_before(key))
      set(flags, flag, *before);
  };
  for (const char* name : {"dataset", "stem", "device"}) take(name, name);
  for (const char* name : kFingerprintFlags) take(name, name);
  take("seed", "manualSeed");
}

}  // namespace

std::string flags_text(FlagTexts flags) {
  drop_flags_of_one_start(flags);
  return json_text(to_json(flags));
}

FlagTexts flags_of_run(const FlagTexts& flags) {
  const fs::path folder = value_of(flags, "save_path"), checkpoint = folder / kCheckpointFile;
  if (value_of(flags, "resume") != "true" || !fs::exists(checkpoint)) return {};
  const Metadata metadata = SafetensorsFile(checkpoint).metadata();
  FlagTexts recorded;
  if (const auto kept = metadata.find(kKeptFlags); kept != metadata.end()) {
    recorded = texts_from_json(Json::parse(kept->second, nullptr, false));
  } else {
    recorded = flags_of_log(folder / "log.txt");
    const auto identity = metadata.find("identity");
    if (identity != metadata.end()) take_identity(Json::parse(identity->second, nullptr, false), recorded);
  }
  drop_flags_of_one_start(recorded);
  return recorded;
}

void drop_flags_of_one_start(FlagTexts& flags) {
  std::erase_if(flags, [](const auto& flag) { return is_of_one_start(flag.first); });
}

std::string taken_note(const EarlierFlags& earlier, const std::string& from) {
  if (earlier.taken.empty()) return "";
  std::string note = fmt::format("flags taken from {}:", from);
  for (const auto& [flag, value] : earlier.taken) note += fmt::format(" --{} {}", flag, value);
  return note;
}

}  // namespace tdds
