#pragma once
// The files of a sweep besides its record: tables, and what finished and overwritten runs leave.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/sweep/sweep_record.h"

namespace tdds {

// Shared among the shards of a sweep; exclusive otherwise.
inline constexpr const char* kSweepLock = ".sweep.lock";

// The settings for the record: every method by its own name, and the resolved dynamics_features.
FlagTexts recorded_settings(FlagTexts texts, const std::vector<std::string>& methods, bool dynamics_features);

class SweepFolder {
 public:
  // keep_models: the weights of finished runs stay.
  SweepFolder(std::filesystem::path path, bool keep_models)
      : path_(std::move(path)), keep_models_(keep_models) {}

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

  // sweep.json, table.md and table.csv.
  void write(const SweepRecord& record) const;

  // Removes the files of a finished run that nobody needs. Its folder is locked.
  void tidy(const std::string& folder) const;
  // The same for a recorded run: the sweep may have been killed after it was recorded and before it was
  // tidied. A run that another process is at work on is left alone.
  void tidy_recorded(const std::string& folder) const;

  // Removes everything that the record in the folder names, its shards included, and nothing else. Throws
  // Error, before anything is removed, if a run is in use.
  void remove_sweep() const;
  // Removes the checkpoint of a run that is not recorded.
  void forget(const std::string& folder) const;

 private:
  std::vector<std::filesystem::path> needless_files(const std::string& folder) const;

  std::filesystem::path path_;
  bool keep_models_;
};

}  // namespace tdds
