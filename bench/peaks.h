#pragma once
// The peaks of a device, measured in the same run as the ops.

#include <map>
#include <string>
#include <vector>

#include "engine/precision.h"
#include "kernels/ops/op_work.h"
#include "kernels/runtime/device.h"

namespace tdds {

class Peaks {
 public:
  // Measures copies of a large buffer and, on a GPU, large matrix products on tensor cores. The peak of
  // products in fp32 is that of Device::peak(): measured on a CPU, known from the clock rate of a GPU.
  Peaks(Device& device, Stream& stream);

  // The least seconds that the work takes; 0 where nothing is known. Hot operands of a CPU are read at the
  // speed of the cache that holds them.
  double floor(const OpWork& work, PrecisionKind precision, bool cold);

  // Per second: {"peak_copy_GB/s", ...}, for the head of a result.
  std::vector<std::pair<std::string, double>> rates() const;

 private:
  Device& device_;
  DevicePeak peak_;
  double copy_ = 0;
  std::map<int, double> cached_;  // bytes per second by the logarithm of the buffer's size
};

}  // namespace tdds
