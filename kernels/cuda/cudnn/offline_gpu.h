#pragma once
// A GPU that is not present, known by a description of its properties. Its convolution plans are real and its
// memory use can be planned, but nothing can be allocated or run on it.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/device.h"

namespace tdds {

// "sm_80", ...: the GPUs whose descriptions (kernels/cuda/cudnn/gpus) are embedded in the program.
std::vector<std::string> offline_gpu_names();
// Why cuDNN cannot plan for `target` on this machine, and how to fix it; empty where it can.
std::string offline_gpu_obstacle(std::string_view target);
// The JSON description of `target`, in cuDNN's format for CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION. Throws
// UsageError for an unknown name, listing the known ones, and Error where there is an obstacle.
std::string offline_gpu_properties(std::string_view target);

// `name` is used in the log and in errors. Throws Error where cuDNN rejects the description. Of the device's
// ops only make_conv2d and make_linear can be called.
std::unique_ptr<Device> make_offline_gpu_from(const std::string& name, const std::string& json,
                                              DevicePeak peak);

// One of offline_gpu_names(), with the peak from its data sheet. Throws like offline_gpu_properties.
std::unique_ptr<Device> make_offline_cudnn_gpu(std::string_view target);

}  // namespace tdds
