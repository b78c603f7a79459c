#pragma once
// Maps the rows of a run to the ids of its samples (engine/data/dataset.h defines both):
// <save_path>/train_ids.npy, int64 [N], holds the id of each row. A run without the file has all samples, and
// its rows are the ids.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "engine/data/dataset.h"

namespace tdds {

// Writes train_ids.npy if ids differ from rows; otherwise removes the file of an older run.
void write_train_ids(const std::filesystem::path& folder, const Dataset& data);

class SampleIds {
 public:
  SampleIds() = default;  // every row is its id
  // Reads train_ids.npy beside `recording`, a store or a folder of official files. Throws Error unless it has
  // `samples` ascending ids.
  SampleIds(const std::filesystem::path& recording, std::int64_t samples);

  std::int64_t of(std::int64_t row) const { return ids_.empty() ? row : ids_[static_cast<std::size_t>(row)]; }
  std::vector<std::int64_t> of(const std::vector<std::int64_t>& rows) const;
  const std::string& path() const { return path_; }  // of the file; empty if every row is its id

 private:
  std::string path_;
  std::vector<std::int64_t> ids_;
};

}  // namespace tdds
