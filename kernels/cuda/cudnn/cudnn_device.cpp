#include "kernels/cuda/cudnn/cudnn_device.h"

#include <fmt/format.h>

#include "kernels/cuda/cudnn/plan_timer.h"

namespace tdds {

CudnnDevice::CudnnDevice(const Ops& ops, const DeviceOptions& options)
    : CudaDevice(ops, options),
      conv_plans_(
          CudnnTarget::present(setup_stream().cudnn()),
          fmt::format("{} sm_{} {} multiprocessors", facts().name, facts().sm, facts().multiprocessors),
          options.plan_cache, options.cudnn_autotune ? make_plan_timer(*this) : PlanTimer()) {
  conv_plans_.keep(options.pinned_plans);
}

}  // namespace tdds
