#include "kernels/cuda/cudnn/cudnn_device.h"

#include <fmt/format.h>

#include "kernels/cuda/cudnn/own_kernels.h"
#include "kernels/cuda/cudnn/plan_timer.h"

namespace tdds {
namespace {

PlanTiming timing_on(CudaDevice& device, const DeviceOptions& options) {
  if (!options.cudnn_autotune) return {};
  return {.prepare = make_plan_timer(device), .show = options.show_timing};
}

OwnKernels own_kernels(CudaDevice& device, const DeviceOptions& options) {
  if (options.own_convolutions == OwnConvolutions::kNever) return {};
  return own_kernels_on(device, options.own_convolutions == OwnConvolutions::kAlways);
}

}  // namespace

CudnnDevice::CudnnDevice(const Ops& ops, const DeviceOptions& options)
    : CudaDevice(ops, options),
      conv_plans_(
          CudnnTarget::present(setup_stream().cudnn()),
          fmt::format("{} sm_{} {} multiprocessors", facts().name, facts().sm, facts().multiprocessors),
          options.plan_cache, timing_on(*this, options), own_kernels(*this, options)) {
  conv_plans_.keep(options.pinned_plans);
}

std::vector<std::string> CudnnDevice::notes() const {
  std::vector<std::string> all = CudaDevice::notes();
  for (std::string& note : conv_plans_.notes()) all.push_back(std::move(note));
  return all;
}

std::vector<TimedConvPlan> time_cudnn_plans(Device& device, const Conv2dCall& call) {
  auto& gpu = static_cast<CudnnDevice&>(device);
  return gpu.conv_plans().time_all(call, make_plan_timer(gpu)(call.spec, call.direction));
}

}  // namespace tdds
