#pragma once
// Recorded dynamics: a dynamics store (engine/io/dynamics_store.h) or a folder of the official .npy files
// (tdds/dynamics/official_dynamics.h).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/io/dynamics_store.h"
#include "tdds/dynamics/official_dynamics.h"

namespace tdds {

class DynamicsSource {
 public:
  // `path` may be a store, a folder with `dynamics.tdds`, a folder with `<e>_Output.npy`, or the folder
  // above that (`npy/` inside it); for the official default `.../npy/`, also the store beside it. Throws
  // Error otherwise. `missing` applies to official files. A store has every sample in every epoch; Error is
  // thrown if their number is not missing.samples.
  explicit DynamicsSource(const std::string& path, MissingVisits missing = {});

  const std::string& path() const { return path_; }  // of the store or folder that was found
  std::int32_t epochs() const { return epochs_; }
  const DynamicsReader* store() const { return store_.get(); }  // null for official files
  // Throws Error for official files: `what` needs a store.
  const DynamicsReader& store_for(std::string_view what) const;
  // For messages: "50000 samples, 200 epochs of cifar100, seed 42". For official files, only the epochs.
  std::string description() const;

  // The series of the first `epochs` epochs. Official files have only kAbsKl.
  KlSeries series(std::int32_t epochs, DynamicsField field = DynamicsField::kAbsKl) const;

 private:
  std::string path_;
  MissingVisits missing_;
  std::unique_ptr<DynamicsReader> store_;
  std::int32_t epochs_ = 0;
  std::vector<std::string> ignored_;  // official files without an epoch number
};

// The series of the first `epochs` epochs of a store.
KlSeries series_of(const DynamicsReader& dynamics, std::int32_t epochs,
                   DynamicsField field = DynamicsField::kAbsKl);

}  // namespace tdds
