#pragma once
// The scoring methods: a table of what each one computes and needs, and which options it has. Each has a
// file in this folder.
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

// The options for one score. The Horizon of a method says which of them it uses.
struct MethodOptions {
  std::int32_t epochs = 0;        // number of epochs to use, from the first; 0: the method's default
  std::int32_t window_size = 10;  // J of the methods with windows
  std::uint64_t seed = 42;        // of the random methods
  double decay = 0.9;             // weight of the newest window in a moving average, 0 to 1
};

// Throws UsageError with the settings' names for numbers that no method accepts.
void check_method_options(const MethodOptions& options);

// The part of a run that a score is computed from.
enum class Horizon {
  kEpochs,       // its first epochs
  kWindows,      // windows of window_size epochs
  kTrajectory,   // windows with a decay; epochs is T and window_size is J, and a user may give many pairs
  kFinishedNet,  // the features of its finished net
};

// One score and its options.
struct MethodScore {
  MethodOptions used;        // epochs: the number of used ones
  std::vector<float> score;  // [N] by sample id
  VisitCounts visits = {};
};

std::vector<MethodScore> scores_of_epochs(const Method& method, const DynamicsSource& source,
                                          std::span<const MethodOptions> settings, Device& device);

struct Method {
  const char* name;    // as in --method and in file names
  const char* score;   // what is computed, in one line
  const char* kept;    // which end of the literature's quantity is kept
  const char* source;  // the paper, and the source of the convention
  Horizon horizon = Horizon::kEpochs;
  std::int32_t epochs = 0;        // used by default, from the first; 0: all recorded ones
  std::int32_t least_epochs = 1;  // the minimum
  std::vector<DynamicsField> needs = {};
  const char* variant_of = nullptr;  // another method's name: reports leave variants out of comparisons
  bool drawn = false;                // from the seed, not from the dynamics; in a report only on request
  bool can_be_negative = false;      // then the score cannot be a weight for drawing samples
  bool weights_loss = false;         // the official code weights the loss of the kept samples by it
  bool official = false;             // needs only the official files; its output has official names
  // Makes the incremental scorer; null: there is no score before the end of the run.
  std::unique_ptr<Scorer> (*make)(std::int64_t samples, const MethodOptions& options) = nullptr;
  // Computes a score for each setting from a recording.
  decltype(&scores_of_epochs) compute = scores_of_epochs;
};

// In the order of --list.
std::span<const Method* const> all_methods();
// Throws UsageError that lists all names.
const Method& find_method(std::string_view name);
// Whether it needs the features, which a run records only on request.
bool needs_features(const Method& method);
// The names of the methods that `which` accepts, for messages: "dyn_unc and dual".
std::string names_of(bool (*which)(const Method&));
bool has_windows(const Method& method);         // of `method_window`
bool has_trajectory(const Method& method);      // T and J are chosen
bool needs_feature_norm(const Method& method);  // of every epoch
bool needs_finished_net(const Method& method);

// The options of a score, for messages: "T=30 J=10 decay=0.9", "epochs 0 to 29, J=10", "features after 30
// epochs".
std::string to_string(const Method& method, const MethodOptions& used);

// The number of epochs that the method uses: the given number, else the smaller one of its default and the
// recorded number. Throws Error if too few were recorded.
std::int32_t epochs_used(const Method& method, const DynamicsReader& dynamics, const MethodOptions& options);

// The default J: 10, or half of the epochs if they are fewer than 20.
std::int32_t default_window(std::int32_t epochs);

// The minimum number of epochs for a score of the method.
std::int32_t least_epochs(const Method& method, const MethodOptions& options);

// For a method with `make`. Throws Error if the dynamics lack a field or an epoch, or hold a non-finite
// value.
std::vector<float> compute_scores(const Method& method, const DynamicsReader& dynamics,
                                  const MethodOptions& options);

// The means of p_y and of 1 - p_y over the first `epochs` epochs, [N] by sample id. Both are kept, because a
// small one cannot be computed from the other without loss of precision.
struct MeanConfidence {
  std::vector<double> p, miss;
};
MeanConfidence mean_confidence(const DynamicsReader& dynamics, std::int32_t epochs);

namespace methods {
extern const Method kTdds, kTddsKl, kRandom, kEntropy, kEl2n, kGrand, kForgetting, kForgettingZero, kAum,
    kAumLogit, kDynUnc, kDual, kModerate;
}

}  // namespace tdds
