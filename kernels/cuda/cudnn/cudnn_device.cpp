#include "kernels/cuda/cudnn/cudnn_device.h"

#include <fmt/format.h>

#include "kernels/cuda/cudnn/plan_timer.h"

namespace tdds {
namespace {

PlanTiming timing_on(CudaDevice& device, const DeviceOptions& options) {
  if (!options.cudnn_autotune) return {};
  return {.prepare = make_plan_timer(device), .show = options.show_timing};
}

}  // namespace

CudnnDevice::CudnnDevice(const Ops& ops, const DeviceOptions& options)
    : CudaDevice(ops, options),
      conv_plans_(
          CudnnTarget::present(setup_stream().cudnn()),
          fmt::format("{} sm_{} {} multiprocessors", facts().name, facts().sm, facts().multiprocessors),
          options.plan_cache, timing_on(*this, options)) {
  conv_plans_.keep(options.pinned_plans);
}

}  // namespace tdds
