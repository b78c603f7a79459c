#include "apps/score/sample_ids.h"

#include <algorithm>
#include <functional>

#include "engine/io/npy.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr const char* kFile = "train_ids.npy";

}  // namespace

void write_train_ids(const std::filesystem::path& folder, const Dataset& data) {
  const std::vector<std::int64_t> ids(data.train_ids.begin(), data.train_ids.end());
  bool all = true;
  for (std::size_t row = 0; row < ids.size(); ++row) all &= ids[row] == static_cast<std::int64_t>(row);
  if (all)
    std::filesystem::remove(folder / kFile);
  else
    write_npy(folder / kFile, ids, {static_cast<std::int64_t>(ids.size())});
}

SampleIds::SampleIds(const std::filesystem::path& recording, std::int64_t samples) {
  const std::filesystem::path path = recording.parent_path() / kFile;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return;
  path_ = path.string();
  ids_ = read_npy_i64(path_);
  check(static_cast<std::int64_t>(ids_.size()) == samples,
        "{} has the ids of {} samples, and {} has {} samples: it belongs to another run; restore it", path_,
        ids_.size(), recording.string(), samples);
  check(
      ids_.front() >= 0 && std::adjacent_find(ids_.begin(), ids_.end(), std::greater_equal<>()) == ids_.end(),
      "{} does not hold ascending ids of at least 0, as tdds-train writes them; restore it", path_);
}

std::vector<std::int64_t> SampleIds::of(const std::vector<std::int64_t>& rows) const {
  std::vector<std::int64_t> ids;
  ids.reserve(rows.size());
  for (const std::int64_t row : rows) ids.push_back(of(row));
  return ids;
}

}  // namespace tdds
