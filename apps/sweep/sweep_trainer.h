#pragma once
// Trains the runs of a sweep one after another, with one setup, and says how long the rest will take.

#include <cstdint>
#include <filesystem>
#include <string>

#include "apps/cli/cli.h"
#include "apps/cli/interrupt.h"
#include "apps/sweep/pace.h"
#include "apps/sweep/sweep_plan.h"
#include "apps/sweep/sweep_record.h"
#include "apps/train/training_run.h"

namespace tdds {

class SweepTrainer {
 public:
  // folder: of the sweep. texts: its flags, for the logs. alone: all runs are trained here, so that the time
  // left is known.
  SweepTrainer(const ProgramInfo& program, const TrainConfig& config, const FlagTexts& texts,
               std::filesystem::path folder, TrainingSetup& setup, const InterruptRequest& interrupt,
               bool alone);

  // A run that is to come.
  void expect(std::int64_t images, std::int32_t epochs) { pace_.expect(work_of(images, epochs)); }

  // Trains, or continues the run in its folder, which is locked. position: "run 3 of 12". Throws Interrupted.
  ScoringRecord train_all(std::uint64_t seed, std::int64_t steps, const std::string& position);
  RunRecord train_subset(const SweepRun& run, const SubsetChoice& choice, const std::string& position);

  // Throws Interrupted if that was requested.
  void heed(const std::string& position) const;

 private:
  double work_of(std::int64_t images, std::int32_t epochs) const;
  RunResult train_in(const std::string& folder, TrainConfig config, const SubsetChoice* subset,
                     const std::string& position, const std::string& what);
  [[noreturn]] void stop(const std::string& position) const;
  std::string left_text() const { return alone_ ? pace_.left_text() : ""; }

  const ProgramInfo& program_;
  const TrainConfig& config_;
  const FlagTexts& texts_;
  std::filesystem::path folder_;
  TrainingSetup& setup_;
  const InterruptRequest& interrupt_;
  bool alone_;
  Pace pace_;
};

}  // namespace tdds
