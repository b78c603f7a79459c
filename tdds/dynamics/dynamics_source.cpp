#include "tdds/dynamics/dynamics_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStoreName = "dynamics.tdds";

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// Any of its files identifies an official folder, so that a missing first epoch has its own error.
bool holds_official_files(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().filename().string().ends_with("_Output.npy")) return true;
  return false;
}

fs::path find(const fs::path& path) {
  if (is_file(path)) return path;
  // A trailing slash leaves an empty file name.
  fs::path folder = path.has_filename() ? path : path.parent_path();
  fs::path beside = folder.parent_path() / kStoreName;
  if (is_file(folder / kStoreName)) return folder / kStoreName;
  if (holds_official_files(folder)) return folder;
  if (holds_official_files(folder / "npy")) return folder / "npy";
  if (folder.filename() == "npy" && is_file(beside)) return beside;
  check(fs::exists(folder), "{} does not exist; give the folder that tdds-train wrote with `dynamics`",
        path.string());
  throw Error(
      fmt::format("{} holds neither {} nor <epoch>_Output.npy; give the folder that tdds-train "
                  "wrote with `dynamics`",
                  path.string(), kStoreName));
}

}  // namespace

DynamicsSource::DynamicsSource(const std::string& path, MissingVisits missing)
    : path_(find(path).string()), missing_(std::move(missing)) {
  if (is_file(path_)) {
    store_ = std::make_unique<DynamicsReader>(path_);
    epochs_ = store_->epochs();
    check(missing_.samples == 0 || missing_.samples == store_->samples(),
          "{} has {} samples, but {} were given", path_, store_->samples(), missing_.samples);
  } else {
    const OfficialFiles files = find_official_files(path_);
    epochs_ = static_cast<std::int32_t>(files.epochs.size());
    ignored_ = files.ignored;
  }
}

const DynamicsReader& DynamicsSource::store_for(std::string_view what) const {
  check(store_ != nullptr,
        "{} needs the dynamics store that tdds-train writes with `dynamics`; {} holds official .npy files",
        what, path_);
  return *store_;
}

std::string DynamicsSource::description() const {
  if (!store_)
    return fmt::format("{} epochs of official .npy files{}{}", epochs_,
                       ignored_.empty() ? "" : "; not read, because their names have no epoch number: ",
                       fmt::join(ignored_, ", "));
  return fmt::format("{} samples, {} epochs of {}, seed {}", store_->samples(), epochs_,
                     store_->header().dataset, store_->header().seed);
}

KlSeries DynamicsSource::series(std::int32_t epochs, DynamicsField field) const {
  if (store_) return series_of(*store_, epochs, field);
  check(field == DynamicsField::kAbsKl,
        "the series '{}' needs the dynamics store that tdds-train writes with `dynamics`; {} holds official "
        ".npy files",
        to_string(field), path_);
  return read_official_series(path_, epochs, missing_);
}

KlSeries series_of(const DynamicsReader& dynamics, std::int32_t epochs, DynamicsField field) {
  KlSeries series;
  series.samples = dynamics.samples();
  series.epochs = epochs;
  series.values.reserve(static_cast<std::size_t>(series.samples * std::max(0, epochs - 1)));
  for (std::int32_t epoch = 1; epoch < epochs; ++epoch) {
    const float* row = dynamics.values(field, epoch);
    series.values.insert(series.values.end(), row, row + series.samples);
    dynamics.release(epoch);
  }
  return series;
}

}  // namespace tdds
