#pragma once
// The records of the processes that share a sweep: <save_path>/shard<i>.json, each in the form of sweep.json
// (apps/sweep/sweep_record.h) with the runs that one of them did. They are read and written under the lock
// .records.lock, and joined by tdds-sweep --merge.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/sweep/sweep_record.h"

namespace tdds {

// One of `count` processes that share a sweep.
struct Shard {
  std::int32_t index = 0, count = 1;  // 0 <= index < count
};
// "0/4", as --shard takes it. Throws UsageError.
Shard parse_shard(const std::string& text);

std::filesystem::path shard_file(const std::filesystem::path& folder, std::int32_t index);
// The records of shards in the folder, by their numbers.
std::vector<std::filesystem::path> shard_files(const std::filesystem::path& folder);
// These, and then sweep.json where there is one: what is recorded of the sweep in the folder.
std::vector<std::filesystem::path> record_files(const std::filesystem::path& folder);

// Throws Error, naming the first difference, unless the shard with the record `other` works on the sweep of
// `mine`: check_continues(), and the same methods and seeds.
std::vector<std::string> check_same_sweep(const SweepRecord& other, const SweepRecord& mine,
                                          const SweepDefaults& defaults, const std::filesystem::path& path);

// Everything that the parts record, in the order of the plan, which is that of a sweep in one process. The
// settings are those of the first part. Of a run that is in several parts, the first counts.
SweepRecord joined(const std::vector<SweepRecord>& parts);

// The folders of the runs that the settings name and that are not recorded.
std::vector<std::string> missing_runs(const SweepRecord& record);

}  // namespace tdds
