#include "kernels/cuda/cudnn/offline_gpu.h"

#include <cuda_runtime_api.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "kernels/cuda/cublas/linear.h"
#include "kernels/cuda/cudnn/conv2d.h"
#include "kernels/cuda/cudnn/conv_plans.h"
#include "kernels/cuda/device.h"
#include "kernels/ops/ops.h"
#include "kernels/runtime/check.h"

namespace tdds {

std::string_view gpu_description(std::string_view file);  // embedded: of gpus/*.json

namespace {

struct GpuModel {
  const char *target, *name;
  DevicePeak peak;
};

// Rates of dense products with sums in fp32, and the memory, from the vendor's data sheets.
const std::vector<GpuModel>& models() {
  constexpr double kTera = 1e12, kGiga = 1e9;
  constexpr std::size_t kGiB = std::size_t{1} << 30;
  static const std::vector<GpuModel> kModels{
      {"sm_80", "A100 SXM", {2039 * kGiga, 19.5 * kTera, 156 * kTera, 312 * kTera, 80 * kGiB, {}}},
      {"sm_86", "GeForce RTX 3090", {936 * kGiga, 35.6 * kTera, 35.6 * kTera, 71 * kTera, 24 * kGiB, {}}},
      {"sm_89", "GeForce RTX 4090", {1008 * kGiga, 82.6 * kTera, 82.6 * kTera, 165.2 * kTera, 24 * kGiB, {}}},
      {"sm_90", "H200 SXM", {4800 * kGiga, 66.9 * kTera, 494.7 * kTera, 989.5 * kTera, 141 * kGiB, {}}},
      {"sm_100", "B200", {8000 * kGiga, 75 * kTera, 1125 * kTera, 2250 * kTera, 180 * kGiB, {}}},
      {"sm_120",
       "GeForce RTX 5090",
       {1792 * kGiga, 104.8 * kTera, 104.8 * kTera, 209.5 * kTera, 32 * kGiB, {}}}};
  return kModels;
}

constexpr Ops kPlanOps{Kernels::kNone, make_cuda_conv2d, make_cuda_linear};

class OfflineGpu final : public GpuDevice {
 public:
  OfflineGpu(const std::string& name, const std::string& json, DevicePeak peak)
      : GpuDevice(kPlanOps),
        name_(name),
        peak_(std::move(peak)),
        conv_plans_(CudnnTarget::offline(json), name, {}, {}) {}

  std::string description() const override { return name_ + ", from its description"; }
  DevicePeak peak(std::size_t) const override { return peak_; }
  bool has_branches() const override { return true; }
  void* allocate(std::size_t, std::string_view what) override {
    throw Error(fmt::format("{} is not present: cannot allocate memory for {} on it", name_, what));
  }
  void free(void*) noexcept override {}
  std::int64_t allocations() const override { return 0; }
  std::unique_ptr<Stream> make_stream(StreamMode) override {
    throw Error(fmt::format("{} is not present: nothing can run on it", name_));
  }
  ConvPlanStore& conv_plans() override { return conv_plans_; }

 private:
  std::string name_;
  DevicePeak peak_;
  ConvPlanStore conv_plans_;
};

}  // namespace

std::vector<std::string> offline_gpu_names() {
  std::vector<std::string> names;
  for (const GpuModel& model : models()) names.emplace_back(model.target);
  return names;
}

// cuDNN 9.19 crashes in its heuristics for sm_100 while the driver shows it another GPU (seen with an H100).
std::string offline_gpu_obstacle(std::string_view target) {
  int gpus = 0, major = 0, minor = 0;
  if (target != "sm_100" || cudaGetDeviceCount(&gpus) != cudaSuccess ||
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());  // no GPU: no obstacle
    return "";
  }
  if (major == 10) return "";
  return fmt::format(
      "cuDNN crashes when it plans for {} while another GPU is visible, and this one is sm_{}{}; hide it by "
      "writing CUDA_VISIBLE_DEVICES= in front of the command",
      target, major, minor);
}

std::string offline_gpu_properties(std::string_view target) {
  const std::string_view json = gpu_description(fmt::format("{}.json", target));
  check_usage(!json.empty(), "there is no description of a GPU '{}'; choose {}", target,
              fmt::join(offline_gpu_names(), ", "));
  const std::string obstacle = offline_gpu_obstacle(target);
  check(obstacle.empty(), "{}", obstacle);
  return std::string(json);
}

std::unique_ptr<Device> make_offline_gpu_from(const std::string& name, const std::string& json,
                                              DevicePeak peak) {
  return std::make_unique<OfflineGpu>(name, json, std::move(peak));
}

std::unique_ptr<Device> make_offline_cudnn_gpu(std::string_view target) {
  const std::string json = offline_gpu_properties(target);
  const auto model = std::find_if(models().begin(), models().end(),
                                  [&](const GpuModel& one) { return one.target == target; });
  DevicePeak peak = model->peak;
  peak.source = "the data sheet";
  return make_offline_gpu_from(fmt::format("{} ({})", target, model->name), json, std::move(peak));
}

}  // namespace tdds
