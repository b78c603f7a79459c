#pragma once
// Scoring methods on recorded dynamics, one file each in this folder.
//
// A score is always oriented so that the *highest are kept*: where the literature keeps the lowest values of
// a quantity (AUM), the score is its negative. With t an epoch, y the given label and p the softmax of the
// training pass (training-mode batch norm, augmented input):
//   p_y = exp(-loss),  1 - p_y = -expm1(-loss),  largest other p = exp(log_other)

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/dynamics_store.h"
#include "tdds/methods/scorer.h"

namespace tdds {

struct MethodOptions {
  std::int32_t epochs = 0;        // how many epochs to use, from the first; 0: the method's own choice
  std::int32_t window_size = 10;  // J of the methods with windows
  std::uint64_t seed = 42;        // of the random ones
};

// Throws UsageError, naming the flags, for numbers that make no sense whatever the method.
void check_method_options(const MethodOptions& options);

struct Method {
  const char* name;           // as in --method and in file names
  const char* score;          // what is computed, in a line
  const char* kept;           // which end of the literature's quantity is kept, in words
  const char* source;         // paper, and whose convention
  std::int32_t epochs;        // used by default, from the first; 0: all that were recorded
  std::int32_t least_epochs;  // that make sense
  std::vector<DynamicsField> needs;
  bool windowed = false;  // over windows of MethodOptions::window_size epochs: no score before the first
  bool can_be_negative = false;  // then nothing can be drawn by the score as a weight
  std::unique_ptr<Scorer> (*make)(std::int64_t samples, const MethodOptions& options);
};

// Every method but TDDS, which has settings of its own (tdds/tdds_score.h), and Moderate, which needs the
// features of the finished net (tdds/moderate.h).
std::span<const Method* const> all_methods();
// Throws UsageError with the names there are.
const Method& find_method(std::string_view name);

// The epochs that the method will use: those asked for, else its own choice or all that were recorded,
// whichever is less. Throws Error when the recorded ones do not suffice.
std::int32_t epochs_used(const Method& method, const DynamicsReader& dynamics, const MethodOptions& options);

// J where none is asked for: 10, or half of the epochs where they are fewer than 20.
std::int32_t default_window(std::int32_t epochs);

// The fewest epochs with which the method has a score.
std::int32_t least_epochs(const Method& method, const MethodOptions& options);

// Throws Error when the dynamics lack a field or an epoch, or hold a value that is not finite.
std::vector<float> compute_scores(const Method& method, const DynamicsReader& dynamics,
                                  const MethodOptions& options);

// The mean of p_y and of 1 - p_y over the first `epochs` epochs, [N] by sample id: both, because neither can
// be had from the other where it is small.
struct MeanConfidence {
  std::vector<double> p, miss;
};
MeanConfidence mean_confidence(const DynamicsReader& dynamics, std::int32_t epochs);

namespace methods {
extern const Method kRandom, kEntropy, kEl2n, kGrand, kForgetting, kForgettingZero, kAum, kAumLogit, kDynUnc,
    kDual;
}

}  // namespace tdds
