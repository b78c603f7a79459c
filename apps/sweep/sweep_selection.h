#pragma once
// The scores of one seed of a sweep, from its training on all samples, and the samples kept by them. Where
// that training's dynamics.tdds is gone, the written scores serve: a sweep's small files can be copied to
// another machine and continued there.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apps/score/sample_ids.h"
#include "apps/score/score_output.h"
#include "apps/score/score_run.h"
#include "apps/sweep/sweep_plan.h"
#include "apps/sweep/sweep_record.h"
#include "apps/train/training_run.h"
#include "engine/data/dataset.h"
#include "tdds/dynamics/dynamics_source.h"

namespace tdds {

class SweepSelection {
 public:
  // folder: of the sweep. epochs: of the training on all samples. data: what it trained on. Throws Error if
  // the dynamics are damaged.
  SweepSelection(const std::filesystem::path& folder, std::uint64_t seed, const SweepFlags& flags,
                 std::int32_t epochs, const Dataset& data, Device& device);

  // Throws if the run's score or its selection cannot be computed. Writes nothing.
  void check_possible(const SweepRun& run);

  // Computes the run's score, once for all runs that share it, and writes it to <folder>/seed<s>/scores; or
  // reads it there. Throws Error if the files there belong to other data or settings.
  const ScoredMethod& score(const SweepRun& run);

  // Writes <run.folder>/ids.txt, the kept ids, and selection.json, how they were selected. If the folder
  // holds another selection, the checkpoint of its training is removed.
  SubsetChoice choose(const SweepRun& run);

  // For every score so far: how many planted samples are at the ends of its order. planted: [N] by row, 1 if
  // planted.
  std::vector<PlantedRecord> at_ends(const std::vector<std::uint8_t>& planted) const;

 private:
  const ScoredMethod& compute(const SweepRun& run);
  ScoredMethod read_written(const SweepRun& run) const;
  const DynamicsSource* source() const { return source_ ? &*source_ : nullptr; }
  ScoreOptions options_for(const SweepRun& run) const;
  nlohmann::ordered_json provenance() const;

  std::filesystem::path folder_;
  std::uint64_t seed_;
  const SweepFlags& flags_;
  std::int32_t epochs_;
  const Dataset& data_;
  Device& device_;
  std::optional<DynamicsSource> source_;  // none if the recording is gone
  SampleIds sample_ids_;
  std::map<std::string, ScoredMethod> scores_;                // by name, which includes the settings
  std::set<std::string> written_;                             // names, as in scores_
  std::vector<std::pair<std::string, std::string>> methods_;  // "tdds" and the name of its score, in order
};

}  // namespace tdds
