#include "kernels/conv2d.h"

#include "kernels/check.h"

namespace tdds {

ConvAlgo parse_conv_algo(std::string_view word) {
  if (word == "auto") return ConvAlgo::kAuto;
  if (word == "direct") return ConvAlgo::kDirect;
  if (word == "winograd") return ConvAlgo::kWinograd;
  throw UsageError(
      fmt::format("there is no convolution algorithm '{}'; choose auto, direct or winograd", word));
}

const char* name_of(ConvAlgo algo) {
  switch (algo) {
    case ConvAlgo::kAuto:
      return "auto";
    case ConvAlgo::kDirect:
      return "direct";
    case ConvAlgo::kWinograd:
      return "winograd";
  }
  throw Error("name_of: not a convolution algorithm");
}

}  // namespace tdds
