#pragma once
// The GPU of this machine with the convolution plans chosen for it.

#include <string>
#include <vector>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/device.h"

namespace tdds {

class CudnnDevice final : public CudaDevice {
 public:
  // Throws like probe_gpu, and Error where options.pinned_plans cannot be parsed.
  CudnnDevice(const Ops& ops, const DeviceOptions& options);

  std::string pinned_plans() const override { return conv_plans_.choices(); }
  std::vector<std::string> notes() const override;
  ConvPlanStore& conv_plans() override { return conv_plans_; }

 private:
  ConvPlanStore conv_plans_;
};

// Ops::time_conv2d_plans of a CudnnDevice.
std::vector<TimedConvPlan> time_cudnn_plans(Device& device, const Conv2dCall& call);

}  // namespace tdds
