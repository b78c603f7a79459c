#pragma once
// tdds-train --score: the scores of a running training, ready after every epoch in the files that tdds-score
// writes, with the same bits; and when they have settled.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/dynamics_store.h"
#include "tdds/streaming_score.h"
#include "tdds/tdds_score.h"

namespace CLI {
class App;
}

namespace tdds {

struct RankingFiles;
struct ScoredMethod;

struct LiveScoreOptions {
  std::vector<std::string> methods;   // empty: no scores
  std::vector<int> trajectory_lens;   // T of TDDS; empty: the epochs so far
  std::vector<int> window_sizes{10};  // J of TDDS
  double decay = 0.9;                 // of TDDS
  MethodOptions method;               // of the others
  std::string mask_path;              // empty: <save_path>/masks
  double stop_when_stable = 0;        // 0: never
  int stable_epochs = 3;
};

void declare_live_score_flags(CLI::App& app, LiveScoreOptions& options);
// Throws UsageError for flags that contradict each other, whatever the run.
void check_live_score_flags(const LiveScoreOptions& options);

class LiveScores {
 public:
  // header: of the store that records the run, at `store`; epochs: of the whole run. Throws UsageError for
  // settings that do not fit the run, and where a method needs what `header` does not record; Error where --mask_path
  // holds another run's files by the names of those that come and go with the epochs.
  LiveScores(const LiveScoreOptions& options, const DynamicsHeader& header, std::int32_t epochs,
             const std::string& save_path, const std::string& store);

  // Sentences for the log: which scores, which pairs are left out.
  const std::vector<std::string>& notes() const { return notes_; }

  // Takes the epochs of a store, 0 .. epochs - 1, as if they were trained: all state follows from them.
  void replay(const DynamicsReader& dynamics, std::int32_t epochs);

  // Takes the next epoch and writes every score that it changed or completed. Returns each score's rank
  // correlation to the epoch before, by name: "tdds_win10", "el2n".
  std::map<std::string, double> add(const EpochDynamics& values);

  // Whether --stop_when_stable is given and reached.
  bool stable() const;

  // One paragraph a score, with its files: those of the last epoch.
  std::string summary() const;

 private:
  struct Running {
    std::string name;
    const Method* method;        // null: TDDS or its variant
    const TddsVariant* variant;  // null: another method
    int window_size;             // of TDDS
    StreamingScore score;
    std::string written = {};  // the paragraph of the last files
  };

  void add_tdds(const TddsVariant& variant, std::int32_t epochs);
  void check_recorded(const std::string& name, const std::vector<DynamicsField>& needs) const;
  void check_free(const Running& running, std::int32_t epochs) const;
  bool is_of_this_run(const RankingFiles& files) const;
  void take(const EpochView& epoch);
  bool due(const Running& running) const;
  void write(Running& running);
  ScoredMethod scored(const Running& running) const;
  // The files of TDDS or its variant after so many epochs.
  RankingFiles files_after(const Running& running, std::int32_t epochs) const;
  void remove_previous(const Running& running) const;

  LiveScoreOptions options_;
  DynamicsHeader header_;
  std::string store_;
  std::vector<Running> running_;
  std::vector<ScoreSetting> settings_;  // of TDDS with given trajectory lengths
  std::vector<std::string> notes_;
  std::int32_t epochs_ = 0;
  int steady_epochs_ = 0;  // in a row in which every score was stable
};

}  // namespace tdds
