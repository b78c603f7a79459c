#pragma once
// What computes one direction of a convolution on a GPU: an execution plan of cuDNN or a kernel of the
// project's own. The text form of the choice identifies it, so that the same plan can be made again.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/libraries.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/conv3x3.h"

namespace tdds {

using CudnnDescriptor = CudaHandle<cudnnBackendDescriptor_t, cudnnBackendDestroyDescriptor>;

const char* to_string(ConvDirection direction);  // "forward", "data", "data+=", "filter"

// What identifies a plan for one graph and one version of cuDNN: the engine and its settings. Or a kernel of
// kernels/ops/conv3x3.h, by its tile and the version of its arithmetic.
struct ConvPlanChoice {
  std::int64_t engine = -1;
  std::vector<std::pair<std::int64_t, std::int64_t>> knobs = {};  // (cudnnBackendKnobType_t, value)
  std::string own = {};                                           // to_string(Conv3x3Tile); empty: an engine
  int version = 0;                                                // of the own kernel

  std::string text() const;  // "34:2=1,13=0", "own 256x64 v1"
  static ConvPlanChoice parse(const std::string& text);
};

struct ConvPlan {
  ConvPlanChoice choice;
  std::optional<Conv3x3Tile> tile = {};  // of an own kernel, which has none of the following
  std::vector<cudnnBackendNumericalNote_t> notes = {};
  bool runtime_compiled = false;
  std::size_t workspace_bytes = 0;
  CudnnDescriptor descriptor = {};

  bool has(cudnnBackendNumericalNote_t note) const;
  std::string text() const;  // "engine 34, tensor_core, 0.1 MiB", "own 256x64"
};

}  // namespace tdds
