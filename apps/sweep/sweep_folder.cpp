#include "apps/sweep/sweep_folder.h"

#include <algorithm>

#include "apps/sweep/shard_records.h"
#include "apps/sweep/sweep_plan.h"
#include "apps/sweep/sweep_table.h"
#include "apps/train/run_fingerprint.h"
#include "apps/train/run_folder.h"
#include "engine/io/files.h"

namespace tdds {
namespace {

// The record of the sweep to be overwritten, or an empty one if it cannot be read. Its shards may have more
// methods and seeds than its sweep.json.
SweepRecord overwritten_record(const std::filesystem::path& folder) {
  try {
    const std::vector<std::filesystem::path> files = record_files(folder);
    return files.empty() ? SweepRecord{} : read_sweep(files.front());
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

FlagTexts recorded_settings(FlagTexts texts, const std::vector<std::string>& methods,
                            bool dynamics_features) {
  std::erase_if(texts, [](const auto& text) { return !is_recorded(text.first); });
  std::vector<std::string> names;
  for (const SweepMethod& method : parse_methods(methods)) names.push_back(method.name);
  return with_choices(std::move(texts), {{"methods", join_list(names)},
                                         {"dynamics_features", dynamics_features ? "true" : "false"}});
}

void SweepFolder::write(const SweepRecord& record) const {
  write_sweep(path_ / kSweepFile, record);
  write_file_atomically(path_ / "table.md", sweep_markdown(record));
  write_file_atomically(path_ / "table.csv", sweep_csv(record));
}

std::vector<std::filesystem::path> SweepFolder::needless_files(const std::string& folder) const {
  std::vector<std::filesystem::path> files{path_ / folder / kCheckpointFile};
  if (!keep_models_)
    for (const char* name : {kBestModelFile, kLastModelFile}) files.push_back(path_ / folder / name);
  std::erase_if(files, [](const auto& file) { return !std::filesystem::exists(file); });
  return files;
}

void SweepFolder::tidy(const std::string& folder) const {
  for (const std::filesystem::path& file : needless_files(folder)) std::filesystem::remove(file);
}

void SweepFolder::tidy_recorded(const std::string& folder) const {
  if (needless_files(folder).empty()) return;
  const auto lock = try_run_folder(path_ / folder);
  if (lock->held()) tidy(folder);
}

void SweepFolder::remove_sweep() const {
  SweepRecord before = overwritten_record(path_);
  std::vector<std::string> folders = folders_of(before);
  std::erase_if(folders, [&](const auto& folder) { return !std::filesystem::exists(path_ / folder); });
  // One at a time, because a process has few descriptors.
  for (const std::string& folder : folders) lock_run_folder(path_ / folder);
  // The runs leave the record first, so that they do not count as done once their folders are gone.
  if (!folders.empty()) {
    before.scoring_runs.clear();
    before.runs.clear();
    write_sweep(path_ / kSweepFile, before);
  }
  for (const std::filesystem::path& file : shard_files(path_)) std::filesystem::remove(file);
  for (const std::string& folder : folders) {
    const auto lock = lock_run_folder(path_ / folder);  // its file is removed with the rest
    std::filesystem::remove_all(path_ / folder);
  }
  std::error_code not_empty;  // the folder of a seed may hold other files
  for (const std::string& folder : folders)
    std::filesystem::remove((path_ / folder).parent_path(), not_empty);
}

void SweepFolder::forget(const std::string& folder) const {
  if (!std::filesystem::exists(path_ / folder / kCheckpointFile)) return;
  const auto lock = lock_run_folder(path_ / folder);
  std::filesystem::remove(path_ / folder / kCheckpointFile);
}

}  // namespace tdds
