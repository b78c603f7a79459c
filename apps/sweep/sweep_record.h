#pragma once
// What a sweep has come to: <save_path>/sweep.json, rewritten whole after every run.
//
//   {"format": "tdds-sweep-1", "dataset", "fingerprint", "arch", "width", "epochs", "budget", "samples",
//    "images": {key: value, ...}, of data_fingerprint() (apps/train/run_fingerprint.h) but the fingerprint
//    "settings": {flag: value, ...}, with what auto came to in its place
//    "scoring_runs": [{"seed", "folder", "best_accuracy", "last_accuracy"}],
//    "runs": [{"method", "rate", "seed", "kept", "epochs", "steps", "best_accuracy", "last_accuracy",
//              "folder", "selection"}],
//    "wrong_labels": [{"method", "seed", "end": "low" | "high", "count", "precision", "recall"}],
//    "corrupted", "near_duplicates": the same of corrupted images and of near-duplicates}
//
// Accuracies are of the test images, in percent; rates are pruned shares; paths are relative to sweep.json.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "apps/cli/cli.h"
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

// How many of the `count` samples at one end of a method's order were planted, as a wrong label, a corrupted
// image or a near-duplicate (precision, a share), and how many of all such samples these are (recall).
struct PlantedRecord {
  std::string method;
  std::uint64_t seed;
  std::string end;  // low: pruned first, high: kept
  std::int64_t count;
  double precision, recall;
};

struct SweepRecord {
  std::string dataset, arch;
  RunFingerprint images;  // data_fingerprint(); of an older record the fingerprint of the training set alone
  double width = 1;
  std::int32_t epochs = 0;
  std::string budget;
  std::int64_t samples = 0;
  FlagTexts settings;  // as text_of this version has them: 0.60 of an older one is 0.6
  std::vector<ScoringRecord> scoring_runs = {};
  std::vector<RunRecord> runs = {};
  std::vector<PlantedRecord> wrong_labels = {}, corrupted = {}, near_duplicates = {};

  const ScoringRecord* scoring_run(std::uint64_t seed) const;  // null: not done yet
  const RunRecord* run(const std::string& method, double rate, std::uint64_t seed) const;
  std::string setting(const std::string& flag) const;  // empty: there is none
  // The samples, images a step and steps in all of the trainings at a rate that has runs; at the rate 0 of
  // those on all samples.
  std::int64_t kept(double rate) const;
  std::int32_t batch(double rate) const;
  std::int64_t steps(double rate) const;
};

void write_sweep(const std::filesystem::path& path, const SweepRecord& record);

// Throws Error where the file is no whole record.
SweepRecord read_sweep(const std::filesystem::path& path);

// The folders that the settings name, whether their runs were done or not, relative to sweep.json: those of
// the runs and of the scores.
std::vector<std::string> folders_of(const SweepRecord& record);

// Whether the trainings on all samples record features.
bool records_features(const SweepRecord& record);

// What the flags are by themselves, for settings that an older record lacks, and what `auto` stands for here,
// for those that it holds unresolved.
struct SweepDefaults {
  FlagTexts flags, automatic;
};

// Throws Error naming the first setting by which `now` cannot go on with what `before` began. Methods and
// seeds may be added, those of which no run is recorded may be left out, and flags that change no result may
// differ. Returns sentences on what an older record does not tell.
std::vector<std::string> check_continues(const SweepRecord& before, const SweepRecord& now,
                                         const SweepDefaults& defaults, const std::filesystem::path& path);

// For EarlierFlags::find: those of the sweep in --save_path, unless it is overwritten.
FlagTexts flags_of_sweep(const FlagTexts& flags);

}  // namespace tdds
