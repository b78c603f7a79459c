#pragma once
// A GPU that is not here, described by its properties: its convolution plans are real and its memory can be
// planned, but nothing can be allocated on it or run.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/runtime/device.h"

namespace tdds {

// "sm_80", ...: those whose descriptions (kernels/cuda/cudnn/gpus) are carried inside the program.
std::vector<std::string> offline_gpu_names();
// Why cuDNN cannot plan for one of them on this machine, and what to do; empty where it can.
std::string offline_gpu_obstacle(std::string_view target);
// The JSON of one of them, as cuDNN writes it for CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION. Throws
// UsageError for another name, listing them, and Error where there is an obstacle.
std::string offline_gpu_properties(std::string_view target);

// `name` is for the log and for errors. Throws Error where cuDNN does not take the description. Only
// make_conv2d and make_linear of its ops can be called.
std::unique_ptr<Device> make_offline_gpu_from(const std::string& name, const std::string& json,
                                              DevicePeak peak);

// One of offline_gpu_names(), with the peak by its data sheet. Throws as offline_gpu_properties.
std::unique_ptr<Device> make_offline_cudnn_gpu(std::string_view target);

}  // namespace tdds
