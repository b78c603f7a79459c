#pragma once
// ResNet-18, 34, 50 and 101 (He et al. 2016). The stem is that of the official TDDS model for CIFAR (conv
// 3x3/1, batch norm, ReLU, no max-pool) or that of ImageNet (conv 7x7/2, batch norm, ReLU, max-pool 3x3/2),
// with which the networks are torchvision's. Then follow four stages of 64, 128, 256, 512 channels times
// `width` with strides 1, 2, 2, 2, a 1x1 projection with batch norm where the shape changes, global average
// pool, and a linear layer with bias. The stride of a Bottleneck is on its 3x3 convolution. Parameters are
// named as in PyTorch: conv1.weight, bn1.running_mean, layer2.0.downsample.0.weight, fc.bias, ...

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/net.h"

namespace tdds {

enum class Stem : std::uint8_t { kCifar, kImageNet };
const char* to_string(Stem stem);  // "cifar", "imagenet"

// Larger images take ImageNet's stem where none is named.
inline constexpr std::int32_t kLargestCifarLike = 64;

struct ResNetSpec {
  std::string arch = "resnet18";  // resnet18, resnet34, resnet50, resnet101
  std::int32_t classes = 100;
  double width = 1.0;               // channels = width * 64, 128, ...; each must be a positive integer
  std::int32_t image_size = 32;     // H = W of the input
  std::int32_t input_channels = 3;  // of the stored input (8 on a GPU); those beyond 3 are zero
  Stem stem = Stem::kCifar;
};

std::vector<std::string> resnet_names();

// Throws UsageError for an unknown arch or a width that does not give a whole number of channels.
std::unique_ptr<Net> make_resnet(const ResNetSpec& spec);

}  // namespace tdds
