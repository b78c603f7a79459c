#include "tdds/dynamics_source.h"

#include <filesystem>

#include "kernels/check.h"
#include "tdds/tdds_score.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStoreName = "dynamics.tdds";

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// The official folder is recognised by any of its files, so that a missing first epoch is an error of its
// own.
bool holds_official_files(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().filename().string().ends_with("_Output.npy")) return true;
  return false;
}

fs::path find(const fs::path& path) {
  std::error_code error;
  if (is_file(path)) return path;
  // A trailing slash leaves an empty file name.
  const fs::path folder = path.has_filename() ? path : path.parent_path();
  const fs::path beside = folder.parent_path() / kStoreName;
  if (is_file(folder / kStoreName)) return folder / kStoreName;
  if (holds_official_files(folder)) return folder;
  if (holds_official_files(folder / "npy")) return folder / "npy";
  if (folder.filename() == "npy" && is_file(beside)) return beside;
  check(fs::exists(folder, error), "{} does not exist; give the folder that tdds-train --dynamics wrote",
        path.string());
  throw Error(
      fmt::format("{} holds neither {} nor <epoch>_Output.npy; give the folder that tdds-train "
                  "--dynamics wrote",
                  path.string(), kStoreName));
}

}  // namespace

DynamicsSource::DynamicsSource(const std::string& path) : path_(find(path).string()) {
  if (is_file(path_)) {
    store_ = std::make_unique<DynamicsReader>(path_);
    epochs_ = store_->epochs();
  } else {
    epochs_ = count_official_epochs(path_);
  }
}

std::string DynamicsSource::description() const {
  if (!store_) return fmt::format("{} epochs of official .npy files", epochs_);
  return fmt::format("{} samples, {} epochs of {}, seed {}", store_->samples(), epochs_,
                     store_->header().dataset, store_->header().seed);
}

KlSeries DynamicsSource::series(std::int32_t epochs, DynamicsField field) const {
  if (store_) return series_of(*store_, epochs, field);
  check(field == DynamicsField::kKl,
        "the series '{}' needs the dynamics store that tdds-train --dynamics writes; {} holds official .npy "
        "files",
        name_of(field), path_);
  return read_official_series(path_, epochs);
}

}  // namespace tdds
