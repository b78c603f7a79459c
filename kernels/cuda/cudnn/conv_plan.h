#pragma once
// A convolution plan of cuDNN, and the text form of its choice, from which the same plan can be rebuilt.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/libraries.h"

namespace tdds {

using CudnnDescriptor = CudaHandle<cudnnBackendDescriptor_t, cudnnBackendDestroyDescriptor>;

// dx = ... and dx += ... are different graphs, because beta is part of the operation.
enum class ConvDirection { kForward, kData, kDataAccumulate, kFilter };
inline constexpr ConvDirection kConvDirections[] = {ConvDirection::kForward, ConvDirection::kData,
                                                    ConvDirection::kDataAccumulate, ConvDirection::kFilter};
const char* to_string(ConvDirection direction);

// What identifies a plan for one graph and one version of cuDNN: the engine and its settings.
struct ConvPlanChoice {
  std::int64_t engine = -1;
  std::vector<std::pair<std::int64_t, std::int64_t>> knobs;  // (cudnnBackendKnobType_t, value)

  std::string text() const;  // "34:2=1,13=0"
  static ConvPlanChoice parse(const std::string& text);
};

struct ConvPlan {
  ConvPlanChoice choice;
  std::vector<cudnnBackendNumericalNote_t> notes;
  bool runtime_compiled = false;
  std::size_t workspace_bytes = 0;
  CudnnDescriptor descriptor;

  bool has(cudnnBackendNumericalNote_t note) const;
  std::string text() const;  // "engine 34, tensor_core, 0.1 MiB"
};

}  // namespace tdds
