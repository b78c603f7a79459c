#include "tdds/methods/scorer.h"

#include <algorithm>
#include <cmath>

#include "kernels/runtime/check.h"

namespace tdds {

EpochView view_of(const DynamicsReader& dynamics, std::int32_t epoch) {
  EpochView view;
  for (const DynamicsField field : dynamics.header().fields) {
    if (field == DynamicsField::kCorrect)
      view.correct = dynamics.correct(epoch);
    else
      view.floats[static_cast<std::size_t>(field)] = dynamics.values(field, epoch);
  }
  return view;
}

EpochView view_of(const EpochDynamics& values) {
  EpochView view;
  for (const DynamicsField field : all_dynamics_fields()) {
    if (field == DynamicsField::kCorrect) continue;
    const std::vector<float>& floats = values.floats(field);
    view.floats[static_cast<std::size_t>(field)] = floats.empty() ? nullptr : floats.data();
  }
  view.correct = values.correct.empty() ? nullptr : values.correct.data();
  return view;
}

void check_epoch(const EpochView& view, std::span<const DynamicsField> fields, std::int64_t samples,
                 std::int32_t epoch, const std::string& source) {
  for (const DynamicsField field : fields) {
    const bool bytes = field == DynamicsField::kCorrect;
    const float* values = bytes ? nullptr : view.values(field);
    check(bytes ? view.correct != nullptr : values != nullptr, "{} holds no '{}'; train again with {}",
          source, to_string(field), flag_recording(field));
    if (bytes) continue;
    const float* end = values + samples;
    const float* bad = std::find_if_not(values, end, [](float value) { return std::isfinite(value); });
    check(bad == end,
          "{} holds a '{}' that is not finite, of sample {} in epoch {}: training had failed there", source,
          to_string(field), bad - values, epoch);
  }
}

}  // namespace tdds
