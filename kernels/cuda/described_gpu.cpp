#include "kernels/cuda/described_gpu.h"

#include "kernels/check.h"
#include "kernels/cuda/conv2d.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/linear.h"
#include "kernels/ops.h"

namespace tdds {
namespace {

const Ops& plan_ops() {
  static constexpr Ops kOps = [] {
    Ops ops{};
    ops.make_conv2d = make_cuda_conv2d;
    ops.make_linear = make_cuda_linear;
    return ops;
  }();
  return kOps;
}

class DescribedGpu final : public GpuDevice {
 public:
  DescribedGpu(const std::string& name, const std::string& json)
      : GpuDevice(plan_ops()), name_(name), conv_plans_(CudnnTarget::described(json), name, "", nullptr) {}

  std::string description() const override { return name_ + ", described and not here"; }
  void* allocate(std::size_t, std::string_view what) override {
    throw Error(fmt::format("{} is only described: no memory for {} can be had on it", name_, what));
  }
  void free(void*) noexcept override {}
  std::int64_t allocations() const override { return 0; }
  std::unique_ptr<Stream> make_stream(StreamMode) override {
    throw Error(fmt::format("{} is only described: nothing can run on it", name_));
  }
  ConvPlanStore& conv_plans() override { return conv_plans_; }

 private:
  std::string name_;
  ConvPlanStore conv_plans_;
};

}  // namespace

std::unique_ptr<Device> make_described_gpu(const std::string& name, const std::string& json) {
  return std::make_unique<DescribedGpu>(name, json);
}

}  // namespace tdds
