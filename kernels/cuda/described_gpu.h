#pragma once
// A GPU that is not here, described by its properties: its convolution plans are real and its memory can be
// planned, but nothing can be allocated on it or run.

#include <memory>
#include <string>

#include "kernels/device.h"

namespace tdds {

// `json` as cuDNN writes it for CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION; `name` is for the log and for
// errors, e.g. "sm_90". Throws Error where cuDNN does not take the description. Only make_conv2d and
// make_linear of its ops can be called.
std::unique_ptr<Device> make_described_gpu(const std::string& name, const std::string& json);

}  // namespace tdds
