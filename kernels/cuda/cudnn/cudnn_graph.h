#pragma once
// Convolution plans of cuDNN 9's backend API (cudnn_graph_v9.h): an operation graph of one convolution, the
// engines that cuDNN's heuristics propose for it, and the execution plan made from one of them. The only file
// of the project that speaks this API.
//
// Plans are made either for a GPU that is here or, from a JSON description of its properties, for one that is
// not (cuDNN 9.8 and newer: "Deviceless ahead-of-time compilation" in its documentation); the latter are
// never executed.

#include <cstdint>
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
  // `json` in the format that cuDNN itself writes for CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
  static CudnnTarget offline(const std::string& json);

  cudnnHandle_t handle() const { return handle_; }                           // null for a described GPU
  cudnnBackendDescriptor_t properties() const { return properties_.get(); }  // null for a present GPU

 private:
  cudnnHandle_t handle_ = nullptr;
  CudnnDescriptor properties_;
};

// Sizes and strides of a 4-d tensor in cuDNN's order of dimensions N C H W, stored with C fastest. A filter
// KRSC is the same with K for N, R for H and S for W. The one place where a stride is computed.
struct CudnnLayout {
  std::int64_t sizes[4], strides[4];
};
CudnnLayout channels_last(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w);

// The first `limit` plans that can be built, best first in the view of heuristic A and then of FALLBACK,
// which is functional only. Never an engine that is not deterministic, converts its inputs to a smaller type
// or adds up in a smaller type than fp32; for kF16 and kBf16 none by Winograd or FFT; for kF32 with kExact
// none that uses tensor cores. Empty where there is none; `reason` then gets cuDNN's words for the last
// failure, preferably one that is more than a graph which an engine does not take; empty where nothing
// failed.
std::vector<ConvPlan> propose_plans(const Conv2dSpec& spec, ConvDirection direction,
                                    const CudnnTarget& target, std::size_t limit,
                                    std::string* reason = nullptr);

// The plan of a choice made earlier. Throws Error where this cuDNN does not have it.
ConvPlan rebuild_plan(const Conv2dSpec& spec, ConvDirection direction, const CudnnTarget& target,
                      const ConvPlanChoice& choice);

// The three tensors and the workspace of one execution. Pointers aligned to 16 bytes. x, w and y are the
// tensors of the forward pass or their gradients.
CudnnDescriptor bind_tensors(const void* x, const void* w, const void* y, void* workspace);

}  // namespace tdds
