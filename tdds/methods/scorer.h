#pragma once
// A score that grows with the epochs: what a method keeps between one epoch's dynamics and the next. Reading
// a store and watching a training run feed it the same epochs, and so get the same bits.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/io/dynamics_store.h"

namespace tdds {

// What was recorded of one epoch, [N] each by sample id; null where it was not.
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
  // Takes the next epoch: 0, 1, 2, ... in turn.
  virtual void add(const EpochView& epoch) = 0;
  // [N] by sample id, from the epochs taken so far. Throws UsageError where they are too few.
  virtual std::vector<float> score() const = 0;
};

// Throws Error, naming `source`, where one of `fields` is missing or not finite in the epoch.
void check_epoch(const EpochView& view, std::span<const DynamicsField> fields, std::int64_t samples,
                 std::int32_t epoch, const std::string& source);

}  // namespace tdds
