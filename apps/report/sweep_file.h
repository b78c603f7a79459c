#pragma once
// What tdds-sweep measured, as a report shows it: read from its sweep.json ("tdds-sweep-1").

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/report/scores.h"
#include "tdds/report_statistics.h"

namespace tdds::report {

struct SweepPoint {
  double rate = 0;         // pruning rate
  Repetitions best, last;  // test accuracy in percent, over the seeds
};

// How many planted wrong labels, corrupted images or near-duplicates are at one end of a method's order, over the seeds.
struct PlantedFound {
  std::string method, end;
  Repetitions precision, recall;  // 0 .. 1
};

struct Sweep {
  std::string path, dataset, arch, budget;
  double width = 1;
  std::int64_t samples = 0, epochs = 0;
  std::optional<std::uint64_t>
      data_seed;                     // --manualSeed: its runs have seeds of their own, and share the data
  ScoreOptions scores;               // as far as its command gave them
  Repetitions full_best, full_last;  // trained on everything: the scoring runs
  std::string first_scoring_run;     // its folder; empty where there is none
  std::vector<std::string> methods;  // in the order of the file
  std::map<std::string, std::vector<SweepPoint>> results;  // by method, rates ascending
  std::vector<PlantedFound> wrong_labels, corrupted, near_duplicates;
};

// Throws Error, naming the file and what is wrong in it, unless it is such a file.
Sweep read_sweep(const std::string& path);

}  // namespace tdds::report
