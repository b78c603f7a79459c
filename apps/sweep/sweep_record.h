#pragma once
// The record of a sweep: <save_path>/sweep.json, rewritten after every run. Several processes that share a
// sweep have one each (apps/sweep/shard_records.h).
//
//   {"format": "tdds-sweep-1", "dataset", "fingerprint", "arch", "width", "epochs", "budget", "samples",
//    "images": {key: value, ...}, data_fingerprint() (apps/train/run_fingerprint.h) without the fingerprint
//    "settings": {flag: value, ...}, with `auto` replaced by its value
//    "scoring_runs": [{"seed", "folder", "best_accuracy", "last_accuracy"}],
//    "runs": [{"method", "rate", "seed", "kept", "epochs", "steps", "best_accuracy", "last_accuracy",
//              "folder", "selection"}],
//    "wrong_labels": [{"method", "seed", "end": "low" | "high", "count", "precision", "recall"}],
//    "corrupted", "near_duplicates": the same for corrupted images and near-duplicates}
//
// Accuracies are of the test images, in percent; rates are pruned shares; paths are relative to sweep.json.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "apps/cli/cli.h"
#include "apps/sweep/sweep_flags.h"
#include "apps/train/run_history.h"

namespace tdds {

inline constexpr const char* kSweepFile = "sweep.json";

// A training on all samples, from which a seed's scores come.
struct ScoringRecord {
  std::uint64_t seed;
  std::string folder;
  double best_accuracy, last_accuracy;
};

struct RunRecord {
  std::string method;
  double rate;
  std::uint64_t seed;
  std::int64_t kept;
  std::int32_t epochs;
  std::int64_t steps;
  double best_accuracy, last_accuracy;
  std::string folder, selection;  // selection: the file with the kept ids
};

// The share of the `count` samples at one end of a method's order that were planted, as a wrong label, a
// corrupted image or a near-duplicate (precision), and the share of all such samples that these are (recall).
struct PlantedRecord {
  std::string method;
  std::uint64_t seed;
  std::string end;  // low: pruned first, high: kept
  std::int64_t count;
  double precision, recall;
};

struct SweepRecord {
  std::string dataset, arch;
  RunFingerprint images;  // data_fingerprint(); in an older record only the fingerprint of the training set
  double width = 1;
  std::int32_t epochs = 0;
  std::string budget;
  std::int64_t samples = 0;
  FlagTexts settings;  // as this version writes them: an older record's 0.60 is 0.6
  std::vector<ScoringRecord> scoring_runs = {};
  std::vector<RunRecord> runs = {};
  std::vector<PlantedRecord> wrong_labels = {}, corrupted = {}, near_duplicates = {};

  const ScoringRecord* scoring_run(std::uint64_t seed) const;  // null: not done yet
  const RunRecord* run(const std::string& method, double rate, std::uint64_t seed) const;
  std::string setting(const std::string& flag) const;  // empty if absent
  // The samples, batch size and total steps of the trainings at a rate that has runs. Rate 0 means those on
  // all samples.
  std::int64_t kept(double rate) const;
  std::int32_t batch(double rate) const;
  std::int64_t steps(double rate) const;
};

void write_sweep(const std::filesystem::path& path, const SweepRecord& record);

// Throws Error if the file is not a complete record.
SweepRecord read_sweep(const std::filesystem::path& path);

// The recorded settings of the sweep. Methods, rates and seeds that the record lacks are empty.
SweepFlags sweep_settings(const SweepRecord& record);

// The folders of the runs and scores that the settings name, whether the runs are done or not, relative to
// sweep.json.
std::vector<std::string> folders_of(const SweepRecord& record);

// Whether the trainings on all samples record features.
bool records_features(const SweepRecord& record);

// The default flags, for settings that an older record lacks, and the values that `auto` stands for here, for
// those that it holds unresolved.
struct SweepDefaults {
  FlagTexts flags, automatic;
};

// Throws Error naming the first setting that keeps `now` from continuing `before`. Methods and seeds may be
// added, those without a recorded run may be left out, and flags that change no result may differ. Returns
// sentences about what an older record lacks.
std::vector<std::string> check_continues(const SweepRecord& before, const SweepRecord& now,
                                         const SweepDefaults& defaults, const std::filesystem::path& path);

// For EarlierFlags::find: the flags of the sweep or its shards in --save_path, unless it is overwritten.
FlagTexts flags_of_sweep(const FlagTexts& flags);

}  // namespace tdds
