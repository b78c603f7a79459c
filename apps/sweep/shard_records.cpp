#include "apps/sweep/shard_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "apps/sweep/sweep_plan.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::string_view kPrefix = "shard", kEnding = ".json";

std::optional<std::int32_t> whole_number(std::string_view text) {
  std::int32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || next != end || value < 0) return std::nullopt;
  return value;
}

// Of one seed. Methods that were added later have none in an older part, so the longest list counts.
std::vector<PlantedRecord> longest(const std::vector<SweepRecord>& parts,
                                   std::vector<PlantedRecord> SweepRecord::*kind, std::uint64_t seed) {
  std::vector<PlantedRecord> most;
  for (const SweepRecord& part : parts) {
    std::vector<PlantedRecord> of_seed;
    for (const PlantedRecord& each : part.*kind)
      if (each.seed == seed) of_seed.push_back(each);
    if (of_seed.size() > most.size()) most = std::move(of_seed);
  }
  return most;
}

}  // namespace

Shard parse_shard(const std::string& text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view all = text;
  const auto index = whole_number(all.substr(0, slash)),
             count = whole_number(all.substr(std::min(slash + 1, all.size())));
  check_usage(index && count && *count > 0,
              "--shard is '{}'; give i/n, the number of this process, from 0, and the number of processes: "
              "0/4 to 3/4",
              text);
  check_usage(*index < *count, "--shard is {}; shards count from 0, so the last of {} is {}/{}", text, *count,
              *count - 1, *count);
  return {*index, *count};
}

std::filesystem::path shard_file(const std::filesystem::path& folder, std::int32_t index) {
  return folder / fmt::format("{}{}{}", kPrefix, index, kEnding);
}

std::vector<std::filesystem::path> shard_files(const std::filesystem::path& folder) {
  std::map<std::int32_t, std::filesystem::path> found;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kEnding)) continue;
    const std::size_t digits = name.size() - kPrefix.size() - kEnding.size();
    if (const auto index = whole_number(std::string_view(name).substr(kPrefix.size(), digits)))
      found[*index] = entry.path();
  }
  std::vector<std::filesystem::path> files;
  files.reserve(found.size());
  for (const auto& [index, file] : found) files.push_back(file);
  return files;
}

std::vector<std::filesystem::path> record_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files = shard_files(folder);
  if (std::filesystem::exists(folder / kSweepFile)) files.push_back(folder / kSweepFile);
  return files;
}

std::vector<std::string> check_same_sweep(const SweepRecord& other, const SweepRecord& mine,
                                          const SweepDefaults& defaults, const std::filesystem::path& path) {
  std::vector<std::string> notes = check_continues(other, mine, defaults, path);
  for (const char* flag : {"methods", "seeds"})
    check(other.setting(flag) == mine.setting(flag),
          "{} was started with --{} {}, and this command has {}; all shards of a sweep need the same: give "
          "them, or finish that sweep and join it by --merge before you add any",
          path.string(), flag, other.setting(flag), mine.setting(flag));
  return notes;
}

SweepRecord joined(const std::vector<SweepRecord>& parts) {
  check(!parts.empty(), "joined: there are no records");
  SweepRecord all = parts.front();
  const SweepFlags flags = sweep_settings(all);
  all.scoring_runs.clear();
  all.runs.clear();
  constexpr std::vector<PlantedRecord> SweepRecord::*kPlanted[] = {
      &SweepRecord::wrong_labels, &SweepRecord::corrupted, &SweepRecord::near_duplicates};
  for (const auto kind : kPlanted) (all.*kind).clear();
  const auto add = [&parts](auto& list, const auto& find) {
    for (const SweepRecord& part : parts)
      if (const auto* found = find(part)) {
        list.push_back(*found);
        return;
      }
  };
  for (const std::uint64_t seed : flags.seeds) {
    add(all.scoring_runs, [&](const SweepRecord& part) { return part.scoring_run(seed); });
    for (const double rate : flags.rates)
      for (const std::string& method : flags.methods)
        add(all.runs, [&](const SweepRecord& part) { return part.run(method, rate, seed); });
    for (const auto kind : kPlanted)
      for (PlantedRecord& each : longest(parts, kind, seed)) (all.*kind).push_back(std::move(each));
  }
  return all;
}

std::vector<std::string> missing_runs(const SweepRecord& record) {
  const SweepFlags flags = sweep_settings(record);
  std::vector<std::string> missing;
  for (const std::uint64_t seed : flags.seeds) {
    if (!record.scoring_run(seed)) missing.push_back(scoring_folder(seed));
    for (const double rate : flags.rates)
      for (const std::string& method : flags.methods)
        if (!record.run(method, rate, seed)) missing.push_back(run_folder(seed, method, rate));
  }
  return missing;
}

}  // namespace tdds
