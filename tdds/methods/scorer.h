#pragma once
// Incremental computation of a score: the state that a method keeps from one epoch to the next. A store and
// a training run feed it the same epochs, so both give the same bits.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/io/dynamics_store.h"

namespace tdds {

// The recorded fields of one epoch, [N] each by sample id; null if a field was not recorded.
struct EpochView {
  const float* values(DynamicsField field) const { return floats[static_cast<std::size_t>(field)]; }
  const float* kl() const { return values(DynamicsField::kAbsKl); }
  const float* loss() const { return values(DynamicsField::kLoss); }
  const float* log_other() const { return values(DynamicsField::kLogOther); }

  std::array<const float*, kDynamicsFields> floats{};  // by DynamicsField
  const std::uint8_t* correct = nullptr;
};
EpochView view_of(const DynamicsReader& dynamics, std::int32_t epoch);
EpochView view_of(const EpochDynamics& values);

class Scorer {
 public:
  virtual ~Scorer() = default;
  // Adds the next epoch: 0, 1, 2, ...
  virtual void add(const EpochView& epoch) = 0;
  // [N] by sample id, from the epochs added so far. Throws UsageError if they are too few.
  virtual std::vector<float> score() const = 0;
};

// Throws Error that names `source` if one of `fields` is missing or not finite in the epoch.
void check_epoch(const EpochView& view, std::span<const DynamicsField> fields, std::int64_t samples,
                 std::int32_t epoch, const std::string& source);

}  // namespace tdds
