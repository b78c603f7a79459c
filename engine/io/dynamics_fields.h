#pragma once
// The fields that are recorded for every sample in every epoch.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

// A value of one sample in one epoch (kernels/ops/softmax_kl.h): float32, except kCorrect, which is a byte.
enum class DynamicsField : std::uint8_t {
  kAbsKl,
  kSignedKl,
  kLoss,
  kLogOther,
  kEntropy,
  kEl2n,
  kCorrect,
  kFeatureNorm  // kernels/ops/feature_norm.h
};
inline constexpr std::size_t kDynamicsFields = 8;
const char* to_string(DynamicsField field);  // "kl", "true_kl", "loss", ...: in files and flags
std::optional<DynamicsField> find_dynamics_field(std::string_view name);
std::vector<DynamicsField> all_dynamics_fields();
// All but kFeatureNorm, which costs a kernel of its own.
std::vector<DynamicsField> default_dynamics_fields();
// The settings that record the field, for error messages.
std::string flag_recording(DynamicsField field);

// The values of one epoch by sample id, [N] each; a field that is not recorded may be empty. kl and true_kl
// of epoch 0 are 0, because there is no previous visit.
struct EpochDynamics {
  EpochDynamics() = default;
  // Zeros in all fields but feature_norm, which is empty.
  explicit EpochDynamics(std::int64_t samples)
      : kl(samples),
        true_kl(samples),
        loss(samples),
        log_other(samples),
        entropy(samples),
        el2n(samples),
        correct(samples) {}

  // Throws Error for kCorrect, which is bytes.
  const std::vector<float>& floats(DynamicsField field) const;

  std::vector<float> kl, true_kl, loss, log_other, entropy, el2n, feature_norm;
  std::vector<std::uint8_t> correct;
};

}  // namespace tdds
