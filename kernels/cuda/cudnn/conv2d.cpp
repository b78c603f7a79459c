#include "kernels/cuda/cudnn/conv2d.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/stream.h"
#include "kernels/numerics/round_up.h"
#include "kernels/ops/own_conv2d.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::size_t kWorkspaceAlignment = 256;

// One direction: its plan, and the pointers of its last run. Every step uses the same pointers, so the
// descriptor is made only in the first step.
class BoundPlan {
 public:
  explicit BoundPlan(const char* name) : name_(name) {}
  BoundPlan(std::shared_ptr<const ConvPlan> plan, const char* name) : plan_(std::move(plan)), name_(name) {}

  const ConvPlan* plan() const { return plan_.get(); }
  const char* name() const { return name_; }
  std::size_t workspace_bytes() const {
    return plan_ ? round_up(plan_->workspace_bytes, kWorkspaceAlignment) : 0;
  }

  void run(Stream& stream, const void* x, const void* w, const void* y, void* workspace) {
    check(plan_ != nullptr,
          "Conv2d: {} was not planned for; see `backward` and `data_gradient` of its Conv2dSpec", name_);
    const std::array<const void*, 4> pointers{x, w, y, workspace};
    if (!pack_ || pointers != pointers_) {
      pack_ = bind_tensors(x, w, y, workspace);
      pointers_ = pointers;
    }
    CudaCommand command(stream, name_);
    const cudnnStatus_t status =
        cudnnBackendExecute(cuda_stream(stream).cudnn(), plan_->descriptor.get(), pack_.get());
    if (status != CUDNN_STATUS_SUCCESS)
      throw Error(fmt::format(
          "'{}'{} failed: cuDNN cannot execute {}: {}; `cudnn_autotune` chooses among plans that ran", name_,
          stream.of_range(), plan_->text(), cudnn_error_text(status)));
    command.finish();
  }

 private:
  std::shared_ptr<const ConvPlan> plan_;
  const char* name_;
  std::array<const void*, 4> pointers_{};
  CudnnDescriptor pack_;
};

class CudaConv2d final : public Conv2d {
 public:
  // Directions that an own kernel serves are given to `own`, and not computed here.
  CudaConv2d(const Conv2dSpec& spec, ConvPlanStore& plans, Conv3x3Tiles& own) : Conv2d(spec) {
    const auto plan = [&](BoundPlan& bound, ConvDirection direction,
                          std::optional<Conv3x3Tile>* tile = nullptr) {
      std::shared_ptr<const ConvPlan> chosen = plans.get(spec, direction);
      if (tile && chosen->tile)
        *tile = chosen->tile;
      else
        bound = {std::move(chosen), bound.name()};
    };
    plan(forward_, ConvDirection::kForward, &own.forward);
    if (!spec.backward) return;
    const GradientMode data = spec.data_gradient;
    if (data == GradientMode::kOverwrite || data == GradientMode::kBoth)
      plan(data_, ConvDirection::kData, &own.data);
    if (data == GradientMode::kAccumulate || data == GradientMode::kBoth)
      plan(accumulate_, ConvDirection::kDataAccumulate, &own.accumulate);
    plan(filter_, ConvDirection::kFilter);
  }

  std::size_t workspace_bytes() const override {
    std::size_t bytes = 0;
    for (const BoundPlan* bound : {&forward_, &data_, &accumulate_, &filter_})
      bytes = std::max(bytes, bound->workspace_bytes());
    return bytes;
  }
  std::size_t filter_workspace_bytes() const override { return filter_.workspace_bytes(); }

  void forward(Stream& stream, const void* x, const void* w, void* y, void* workspace) override {
    forward_.run(stream, x, w, y, workspace);
  }
  void backward_data(Stream& stream, const void* dy, const void* w, void* dx, bool accumulate,
                     void* workspace) override {
    (accumulate ? accumulate_ : data_).run(stream, dx, w, dy, workspace);
  }
  void backward_filter(Stream& stream, const void* x, const void* dy, void* dw, void* workspace) override {
    filter_.run(stream, x, dw, dy, workspace);
  }

  std::vector<ServedDirection> served() const override {
    std::vector<ServedDirection> served;
    for (const auto& [word, bound] : {std::pair<const char*, const BoundPlan*>{"forward", &forward_},
                                      {"data", &data_},
                                      {"data+", &accumulate_},
                                      {"filter", &filter_}})
      if (bound->plan()) served.push_back({word, bound->plan()->text()});
    return served;
  }

 private:
  BoundPlan forward_{"conv2d forward"}, data_{"conv2d backward data"},
      accumulate_{"conv2d backward data, accumulating"}, filter_{"conv2d backward filter"};
};

}  // namespace

std::unique_ptr<Conv2d> make_cuda_conv2d(Device& device, const Conv2dSpec& spec) {
  Conv3x3Tiles own;
  auto conv = std::make_unique<CudaConv2d>(spec, static_cast<GpuDevice&>(device).conv_plans(), own);
  return with_own_kernels(std::move(conv), {cuda::run<Conv3x3ForwardArgs>, cuda::run<Conv3x3DataArgs>}, own);
}

}  // namespace tdds
