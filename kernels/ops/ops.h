#pragma once
// The table of ops: one per backend, the only place where a device is chosen. Each op's contract is in its
// header. Every function enqueues on the stream and returns; the arguments are copied.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/accumulate.h"
#include "kernels/augment.h"
#include "kernels/batchnorm.h"
#include "kernels/conv2d.h"
#include "kernels/device.h"
#include "kernels/elementwise.h"
#include "kernels/feature_norm.h"
#include "kernels/linear.h"
#include "kernels/max_pool.h"
#include "kernels/pool.h"
#include "kernels/sgd.h"
#include "kernels/softmax_kl.h"
#include "kernels/sort.h"
#include "kernels/step_state.h"
#include "kernels/stream.h"
#include "kernels/window_score.h"

namespace tdds {

struct Ops {
  void (*augment)(Stream&, const AugmentArgs&);
  std::unique_ptr<Conv2d> (*make_conv2d)(Device&, const Conv2dSpec&);
  void (*batchnorm_forward)(Stream&, const BatchNormForwardArgs&);
  void (*batchnorm_backward)(Stream&, const BatchNormBackwardArgs&);
  void (*batchnorm_inference)(Stream&, const BatchNormInferenceArgs&);
  void (*add)(Stream&, const AddArgs&);
  void (*relu)(Stream&, const ReluArgs&);
  void (*relu_backward)(Stream&, const ReluBackwardArgs&);
  void (*global_avg_pool)(Stream&, const GlobalAvgPoolArgs&);
  void (*global_avg_pool_backward)(Stream&, const GlobalAvgPoolBackwardArgs&);
  void (*max_pool)(Stream&, const MaxPoolArgs&);
  void (*max_pool_backward)(Stream&, const MaxPoolBackwardArgs&);
  std::unique_ptr<Linear> (*make_linear)(Device&, const LinearSpec&);
  void (*feature_norm)(Stream&, const FeatureNormArgs&);
  void (*softmax_kl)(Stream&, const SoftmaxKlArgs&);
  void (*batch_weight)(Stream&, const BatchWeightArgs&);
  void (*accumulate)(Stream&, const AccumulateArgs&);
  void (*check_finite)(Stream&, const CheckFiniteArgs&);
  void (*sgd)(Stream&, const SgdArgs&);
  void (*advance)(Stream&, const AdvanceArgs&);
  void (*window_score)(Stream&, const WindowScoreArgs&);
  std::size_t (*sort_workspace_bytes)(std::int64_t n);
  void (*sort_by_score)(Stream&, const SortArgs&);
};

// The table of a backend, or null with the reason in words, and what makes its device.
struct Backend {
  const Ops* ops;
  const char* why_absent;
  std::unique_ptr<Device> (*make)(DeviceKind, const Ops&, const DeviceOptions&);
  bool (*machine_has_it)() = nullptr;  // null: every machine does
  // Devices of this backend that are known by description; null: none.
  std::vector<std::string> (*describable)() = nullptr;
  std::unique_ptr<Device> (*describe)(std::string_view target) = nullptr;
};
Backend cpu_backend();
Backend simt_backend();
Backend cuda_backend();

}  // namespace tdds
