#include "engine/io/dynamics_fields.h"

#include <array>

#include "kernels/runtime/check.h"

namespace tdds {

const char* to_string(DynamicsField field) {
  static constexpr std::array<const char*, kDynamicsFields> kNames{
      "kl", "true_kl", "loss", "log_other", "entropy", "el2n", "correct", "feature_norm"};
  return kNames[static_cast<std::size_t>(field)];
}

std::optional<DynamicsField> find_dynamics_field(std::string_view name) {
  for (const DynamicsField field : all_dynamics_fields())
    if (name == to_string(field)) return field;
  return std::nullopt;
}

std::vector<DynamicsField> all_dynamics_fields() {
  std::vector<DynamicsField> fields = default_dynamics_fields();
  fields.push_back(DynamicsField::kFeatureNorm);
  return fields;
}

std::vector<DynamicsField> default_dynamics_fields() {
  return {DynamicsField::kAbsKl,   DynamicsField::kSignedKl, DynamicsField::kLoss,   DynamicsField::kLogOther,
          DynamicsField::kEntropy, DynamicsField::kEl2n,     DynamicsField::kCorrect};
}

const std::vector<float>& EpochDynamics::floats(DynamicsField field) const {
  switch (field) {
    case DynamicsField::kAbsKl:
      return kl;
    case DynamicsField::kSignedKl:
      return true_kl;
    case DynamicsField::kLoss:
      return loss;
    case DynamicsField::kLogOther:
      return log_other;
    case DynamicsField::kEntropy:
      return entropy;
    case DynamicsField::kEl2n:
      return el2n;
    case DynamicsField::kFeatureNorm:
      return feature_norm;
    case DynamicsField::kCorrect:
      break;
  }
  throw Error("EpochDynamics::floats: 'correct' is bytes");
}

std::string flag_recording(DynamicsField field) {
  if (field == DynamicsField::kFeatureNorm) return "`dynamics_features`";
  return fmt::format("`dynamics` (and {} among `dynamics_fields`, where that is given)", to_string(field));
}

}  // namespace tdds
