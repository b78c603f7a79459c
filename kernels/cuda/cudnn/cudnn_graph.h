#pragma once
// Convolution plans of cuDNN 9's backend API (cudnn_graph_v9.h): an operation graph of one convolution, the
// engines that cuDNN's heuristics propose for it, and the execution plan made from one of them. Only this
// file pair uses that API.
//
// A plan is made for the GPU that is present or, from a JSON description of its properties, for another GPU
// (cuDNN 9.8 and newer: "Deviceless ahead-of-time compilation" in its documentation). The latter is never
// executed.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/cudnn/conv_plan.h"
#include "kernels/cuda/libraries.h"
#include "kernels/ops/conv2d.h"

namespace tdds {

// The GPU that a plan is for.
class CudnnTarget {
 public:
  static CudnnTarget present(cudnnHandle_t handle);
  // `json` has the format that cuDNN writes for CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
  static CudnnTarget offline(const std::string& json);

  cudnnHandle_t handle() const { return handle_; }                           // null for a described GPU
  cudnnBackendDescriptor_t properties() const { return properties_.get(); }  // null for a present GPU

 private:
  cudnnHandle_t handle_ = nullptr;
  CudnnDescriptor properties_;
};

// Sizes and strides of a 4-d tensor in cuDNN's order of dimensions N C H W, stored with C fastest. A KRSC
// filter is the same with K for N, R for H and S for W. Strides are computed only here.
struct CudnnLayout {
  std::int64_t sizes[4], strides[4];
};
CudnnLayout channels_last(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w);

// Heuristic A is the fast one, B takes longer and is more accurate; FALLBACK's plans are not tuned for speed.
inline constexpr cudnnBackendHeurMode_t kFewPlans[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
inline constexpr cudnnBackendHeurMode_t kAllPlans[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                                       CUDNN_HEUR_MODE_FALLBACK};

// Builds the plans of the heuristics one after the other, each heuristic's best first, and gives every
// different one to `take` until that returns false. Excluded are engines that are not deterministic, convert
// their inputs to a smaller type or accumulate in a smaller type than fp32; for kF16 and kBf16 also Winograd
// and FFT; for kF32 with kExact also tensor cores. There may be none; the result is cuDNN's message for the
// last failure, where an error takes precedence over an engine that does not support the graph. It is empty
// where nothing failed.
std::string visit_plans(const Conv2dSpec& spec, ConvDirection direction, const CudnnTarget& target,
                        std::span<const cudnnBackendHeurMode_t> heuristics,
                        const std::function<bool(ConvPlan)>& take);

// The first `limit` of kFewPlans. If there are none, `reason` receives what visit_plans returns.
std::vector<ConvPlan> propose_plans(const Conv2dSpec& spec, ConvDirection direction,
                                    const CudnnTarget& target, std::size_t limit,
                                    std::string* reason = nullptr);

// The plan of an earlier choice. Throws Error where this version of cuDNN does not have it.
ConvPlan rebuild_plan(const Conv2dSpec& spec, ConvDirection direction, const CudnnTarget& target,
                      const ConvPlanChoice& choice);

// The three tensors and the workspace of one execution. Pointers are aligned to 16 bytes. x, w and y are the
// tensors of the forward pass or their gradients.
CudnnDescriptor bind_tensors(const void* x, const void* w, const void* y, void* workspace);

}  // namespace tdds
