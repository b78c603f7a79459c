#pragma once
// tdds-train --score: writes the scores of a running training after every epoch, in the files of tdds-score
// and with the same bits, and detects when they have settled.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/flags.h"
#include "engine/io/dynamics_store.h"
#include "engine/io/file_lock.h"
#include "tdds/methods/streaming_score.h"
#include "tdds/methods/tdds_score.h"

namespace tdds {

struct RankingFiles;
struct ScoredMethod;

struct OnlineScoreOptions {
  std::vector<std::string> methods;   // empty: no scores
  std::vector<int> trajectory_lens;   // T of TDDS; empty: the epochs so far
  std::vector<int> window_sizes{10};  // J of TDDS
  double decay = 0.9;                 // of TDDS
  MethodOptions method;               // of the others
  std::string mask_path;              // empty: <save_path>/masks
  double stop_when_stable = 0;        // 0: never
  int stable_epochs = 3;
};

FlagTable online_score_flags(OnlineScoreOptions& options);
// Throws UsageError for flags that contradict each other in any run.
void check_online_score_flags(const OnlineScoreOptions& options);

class OnlineScores {
 public:
  // header: of the store that records the run, at the path `store`; epochs: of the whole run. Throws
  // UsageError for settings that do not fit the run, and for a method that needs a field `header` does not
  // record. Throws Error if --mask_path holds another run's files under names that this run replaces from
  // epoch to epoch, or if another process writes files of these names there.
  OnlineScores(const OnlineScoreOptions& options, const DynamicsHeader& header, std::int32_t epochs,
               const std::string& save_path, const std::string& store);

  // Sentences for the log, for example which pairs are left out.
  const std::vector<std::string>& notes() const { return notes_; }

  // Takes the epochs of a store, 0 .. epochs - 1, as if they had just been trained. This restores the whole
  // state.
  void replay(const DynamicsReader& dynamics, std::int32_t epochs);

  // Takes the next epoch and writes every score that it changed or completed. Returns each score's rank
  // correlation with the epoch before, by name: "tdds_win10", "el2n".
  std::map<std::string, double> add(const EpochDynamics& values);

  // Whether --stop_when_stable is given and reached.
  bool stable() const;

  // One paragraph per score, with its files of the last epoch.
  std::string summary() const;

 private:
  struct Running {
    std::string name;
    const Method* method;
    MethodOptions options;
    StreamingScore score;
    std::string written = {};             // the paragraph of the last files
    std::unique_ptr<FileLock> lock = {};  // of the files of this name in --mask_path
  };

  void add_trajectories(const Method& method, std::int32_t epochs);
  void check_recorded(const Method& method) const;
  void lock_files();
  void check_free(const Running& running, std::int32_t epochs) const;
  bool is_of_this_run(const RankingFiles& files) const;
  void take(const EpochView& epoch);
  bool due(const Running& running) const;
  void write(Running& running);
  // A score after a number of epochs, with its names and files.
  ScoredMethod after(const Running& running, std::int32_t epochs, std::vector<float> score) const;
  void remove_previous(const Running& running) const;

  OnlineScoreOptions options_;
  DynamicsHeader header_;
  std::string store_;
  std::vector<Running> running_;
  std::vector<ScoreSetting> settings_;  // of TDDS with given trajectory lengths
  std::vector<std::string> notes_;
  std::int32_t epochs_ = 0;
  int steady_epochs_ = 0;  // in a row, with every score stable
};

}  // namespace tdds
