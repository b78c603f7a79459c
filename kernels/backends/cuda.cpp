#include "kernels/backends/backend.h"
#include "kernels/cuda/cublas/linear.h"
#include "kernels/cuda/cudnn/conv2d.h"
#include "kernels/cuda/cudnn/cudnn_device.h"
#include "kernels/cuda/cudnn/offline_gpu.h"
#include "kernels/cuda/nccl/nccl_collectives.h"
#include "kernels/gpu/sort.h"
#include "kernels/ops/elementwise.h"

namespace tdds {
namespace {

// Runs one small kernel, so that a build without machine code for this GPU fails before the data is read.
std::unique_ptr<Device> make_cuda_device(DeviceKind, const Ops& ops, const DeviceOptions& options) {
  auto device = std::make_unique<CudnnDevice>(ops, options);
  DeviceMemory probe(*device, 256, "a first kernel");
  CudaStream& stream = device->setup_stream();
  relu(stream, {.x = probe.data(), .y = probe.data(), .n = 64, .dtype = DType::kF32});
  stream.synchronize();
  return device;
}

std::unique_ptr<Collectives> make_nccl(Device& device, Ranks& ranks) {
  return make_nccl_collectives(device, ranks);
}

}  // namespace

Backend cuda_backend() {
  static constexpr Ops kOps{Kernels::kCuda, make_cuda_conv2d, make_cuda_linear, cuda::sort_workspace_bytes,
                            time_cudnn_plans};
  return {&kOps,           nullptr,           make_cuda_device,      make_nccl,
          machine_has_gpu, offline_gpu_names, make_offline_cudnn_gpu};
}

}  // namespace tdds
