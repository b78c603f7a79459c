#pragma once
// The scoring methods: one table of what each computes, needs and lets a user choose. Each has a file in this
// folder.
//
// A score is always oriented so that the *highest are kept*: where the literature keeps the lowest values of
// a quantity (AUM), the score is its negative. With t an epoch, y the given label and p the softmax of the
// training pass (training-mode batch norm, augmented input):
//   p_y = exp(-loss),  1 - p_y = -expm1(-loss),  largest other p = exp(log_other)

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/dynamics_store.h"
#include "tdds/dynamics/dynamics_source.h"
#include "tdds/methods/scorer.h"

namespace tdds {

class Device;
struct Method;

// The choices for one score. Which of them a method has is told by its Horizon.
struct MethodOptions {
  std::int32_t epochs = 0;        // how many epochs to use, from the first; 0: the method's own choice
  std::int32_t window_size = 10;  // J of the methods with windows
  std::uint64_t seed = 42;        // of the random ones
  double decay = 0.9;             // weight of the newest window in a moving average, 0 to 1
};

// Throws UsageError, naming the flags, for numbers that make no sense whatever the method.
void check_method_options(const MethodOptions& options);

// What of a run a score is computed from.
enum class Horizon {
  kEpochs,      // its first epochs
  kWindows,     // windows of window_size of them
  kTrajectory,  // the same, with a decay; epochs is T and window_size is J, and a user may ask for many pairs
  kFinishedNet,  // the features of its finished net
};

// One score and what it is of.
struct MethodScore {
  MethodOptions used;        // epochs: how many were used
  std::vector<float> score;  // [N] by sample id
  VisitCounts visits = {};
};

std::vector<MethodScore> scores_of_epochs(const Method& method, const DynamicsSource& source,
                                          std::span<const MethodOptions> settings, Device& device);

struct Method {
  const char* name;    // as in --method and in file names
  const char* score;   // what is computed, in a line
  const char* kept;    // which end of the literature's quantity is kept, in words
  const char* source;  // paper, and whose convention
  Horizon horizon = Horizon::kEpochs;
  std::int32_t epochs = 0;        // used by default, from the first; 0: all that were recorded
  std::int32_t least_epochs = 1;  // that make sense
  std::vector<DynamicsField> needs = {};
  const char* variant_of = nullptr;  // another method's name: reports leave variants out of comparisons
  bool drawn = false;  // from the seed, not from the dynamics; not in a report unless it is asked for
  bool can_be_negative = false;  // then nothing can be drawn by the score as a weight
  bool weights_loss = false;     // the official code weights the loss of the kept by it
  bool official =
      false;  // the official files suffice for it, and its masks and scores have their official names
  // What grows with the epochs; null: no score before the end of the run.
  std::unique_ptr<Scorer> (*make)(std::int64_t samples, const MethodOptions& options) = nullptr;
  // From a recording, a score for each setting.
  decltype(&scores_of_epochs) compute = scores_of_epochs;
};

// In the order of --list.
std::span<const Method* const> all_methods();
// Throws UsageError with the names there are.
const Method& find_method(std::string_view name);
// Whether it needs the features, which a run records on demand alone.
bool needs_features(const Method& method);
// The names of some, for people: "dyn_unc and dual".
std::string names_of(bool (*which)(const Method&));
bool has_windows(const Method& method);         // of --method_window
bool has_trajectory(const Method& method);      // T and J are chosen
bool needs_feature_norm(const Method& method);  // of every epoch
bool needs_finished_net(const Method& method);

// What a score is of, for people: "T=30 J=10 decay=0.9", "epochs 0 to 29, J=10", "features after 30 epochs".
std::string to_string(const Method& method, const MethodOptions& used);

// The epochs that the method will use: those asked for, else its own choice or all that were recorded,
// whichever is less. Throws Error when the recorded ones do not suffice.
std::int32_t epochs_used(const Method& method, const DynamicsReader& dynamics, const MethodOptions& options);

// J where none is asked for: 10, or half of the epochs where they are fewer than 20.
std::int32_t default_window(std::int32_t epochs);

// The fewest epochs with which the method has a score.
std::int32_t least_epochs(const Method& method, const MethodOptions& options);

// Of a method with make. Throws Error when the dynamics lack a field or an epoch, or hold a value that is not
// finite.
std::vector<float> compute_scores(const Method& method, const DynamicsReader& dynamics,
                                  const MethodOptions& options);

// The mean of p_y and of 1 - p_y over the first `epochs` epochs, [N] by sample id: both, because neither can
// be had from the other where it is small.
struct MeanConfidence {
  std::vector<double> p, miss;
};
MeanConfidence mean_confidence(const DynamicsReader& dynamics, std::int32_t epochs);

namespace methods {
extern const Method kTdds, kTddsKl, kRandom, kEntropy, kEl2n, kGrand, kForgetting, kForgettingZero, kAum,
    kAumLogit, kDynUnc, kDual, kModerate;
}

}  // namespace tdds
