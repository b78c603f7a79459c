#pragma once
// Which samples of the data set the rows of a run are (engine/data/dataset.h says what a row and an id is):
// <save_path>/train_ids.npy, int64 [N], the id of each row. A run without it has all samples, and its rows
// are the ids.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "engine/data/dataset.h"
#include "tdds/dynamics/dynamics_source.h"

namespace tdds {

// Writes train_ids.npy where ids differ from rows, and removes an older run's where they do not.
void write_train_ids(const std::filesystem::path& folder, const Dataset& data);

class SampleIds {
 public:
  SampleIds() = default;  // every row is its id
  // Reads train_ids.npy beside the store, or beside the folder of official files. Throws Error where it is
  // not of so many samples or its ids do not ascend.
  SampleIds(const DynamicsSource& source, std::int64_t samples);

  std::int64_t of(std::int64_t row) const { return ids_.empty() ? row : ids_[static_cast<std::size_t>(row)]; }
  std::vector<std::int64_t> of(const std::vector<std::int64_t>& rows) const;
  const std::string& path() const { return path_; }  // of the file; empty: there is none, every row is its id

 private:
  std::string path_;
  std::vector<std::int64_t> ids_;
};

}  // namespace tdds
