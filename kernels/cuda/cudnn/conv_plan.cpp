#include "kernels/cuda/cudnn/conv_plan.h"

#include <algorithm>
#include <charconv>

#include "kernels/numerics/mib.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

const char* to_string(cudnnBackendNumericalNote_t note) {
  switch (note) {
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
      return "tensor_core";
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      return "down_convert_inputs";
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      return "reduced_precision_reduction";
    case CUDNN_NUMERICAL_NOTE_FFT:
      return "fft";
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      return "nondeterministic";
    case CUDNN_NUMERICAL_NOTE_WINOGRAD:
      return "winograd";
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
      return "winograd_4x4";
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
      return "winograd_6x6";
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
      return "winograd_13x13";
    case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
      return "strict_nan";
    default:
      return "unknown_note";
  }
}

}  // namespace

const char* to_string(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::kForward:
      return "forward";
    case ConvDirection::kData:
      return "data";
    case ConvDirection::kDataAccumulate:
      return "data+=";
    case ConvDirection::kFilter:
      return "filter";
  }
  throw Error("to_string: unknown direction");
}

std::string ConvPlanChoice::text() const {
  if (!own.empty()) return fmt::format("{} v{}", own, version);
  std::string text = std::to_string(engine);
  for (std::size_t i = 0; i < knobs.size(); ++i)
    text += fmt::format("{}{}={}", i ? ',' : ':', knobs[i].first, knobs[i].second);
  return text;
}

namespace {

// A tile that this version does not have is an error only where the plan is made.
ConvPlanChoice parse_own(const std::string& text) {
  const std::size_t at = text.rfind(" v");
  ConvPlanChoice choice;
  const char* const end = text.data() + text.size();
  check(at != std::string::npos && at > 4, "'{}' is not a plan; expected own, a tile and a version", text);
  const auto [next, error] = std::from_chars(text.data() + at + 2, end, choice.version);
  check(error == std::errc{} && next == end && choice.version > 0,
        "'{}' is not a plan; expected own, a tile and a version", text);
  choice.own = text.substr(0, at);
  return choice;
}

}  // namespace

ConvPlanChoice ConvPlanChoice::parse(const std::string& text) {
  if (text.starts_with("own ")) return parse_own(text);
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&] {
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    check(error == std::errc{}, "'{}' is not a plan; expected engine:knob=value,knob=value", text);
    at = next;
    return value;
  };
  const auto skip = [&](char expected) {
    check(at != end && *at == expected, "'{}' is not a plan; expected engine:knob=value,knob=value", text);
    ++at;
  };
  ConvPlanChoice choice;
  choice.engine = number();
  while (at != end) {
    skip(choice.knobs.empty() ? ':' : ',');
    const std::int64_t knob = number();
    skip('=');
    choice.knobs.emplace_back(knob, number());
  }
  return choice;
}

bool ConvPlan::has(cudnnBackendNumericalNote_t note) const {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

std::string ConvPlan::text() const {
  if (tile) return choice.own;
  std::string text = fmt::format("engine {}", choice.engine);
  for (const cudnnBackendNumericalNote_t note : notes) text += fmt::format(", {}", to_string(note));
  if (runtime_compiled) text += ", compiled at run time";
  return text + fmt::format(", {:.2f} MiB", mib(workspace_bytes));
}

}  // namespace tdds
