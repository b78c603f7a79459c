// Compares whole networks with PyTorch in float64. tests/golden/make_goldens.py describes the fixtures.

#include "tests/kernels/op_test.h"
#include "tests/nets/golden_training.h"

namespace tdds::test {
namespace {

class GoldenNetTest : public OpTest {
 protected:
  // Compares both algorithms of a CPU separately; its default is a mixture of them.
  void compare(const char* fixture, const ResNetSpec& spec) {
    if (!is_cpu()) return GoldenTraining(device(), stream(), fixture, spec, ConvAlgo::kAuto).compare();
    for (const ConvAlgo algo : {ConvAlgo::kDirect, ConvAlgo::kWinograd}) {
      SCOPED_TRACE(algo == ConvAlgo::kDirect ? "direct" : "winograd");
      GoldenTraining(device(), stream(), fixture, spec, algo).compare();
    }
  }
};

// Ten steps; the only network that is small enough for the kernels of `simt`.
class GoldenResNet18Test : public GoldenNetTest {};
TEST_P(GoldenResNet18Test, Narrow) {
  compare("resnet18_narrow", {.arch = "resnet18", .classes = 10, .width = 0.125, .image_size = 32});
}

TEST_P(GoldenNetTest, NarrowResNet50) {
  compare("resnet50_narrow", {.arch = "resnet50", .classes = 10, .width = 0.125, .image_size = 16});
}

TEST_P(GoldenNetTest, FullResNet18) {
  compare("resnet18_full", {.arch = "resnet18", .classes = 100, .width = 1.0, .image_size = 32});
}

// torchvision's networks, with the ImageNet stem.
TEST_P(GoldenNetTest, ImageNetResNet18) {
  compare("resnet18_imagenet",
          {.arch = "resnet18", .classes = 100, .width = 1.0, .image_size = 64, .stem = Stem::kImageNet});
}

TEST_P(GoldenNetTest, ImageNetResNet50) {
  compare("resnet50_imagenet",
          {.arch = "resnet50", .classes = 100, .width = 1.0, .image_size = 64, .stem = Stem::kImageNet});
}

// The stored state_dict, with PyTorch's names, equals the values of the formula.
TEST(GoldenWeightsTest, AreTheStateDictOfTheOfficialModel) {
  const Golden golden("resnet18_narrow_weights");
  auto net = make_resnet({.arch = "resnet18", .classes = 10, .width = 0.125});
  const auto& list = net->params().list();
  ASSERT_EQ(golden.file().tensors().size(), list.size());
  std::uint32_t place = 0;
  for (const Param& param : list) {
    if (param.kind == ParamKind::kCounter) {
      EXPECT_EQ(golden.ints(param.name), std::vector<std::int64_t>{0}) << param.name;
      EXPECT_TRUE(golden.shape(param.name).empty()) << param.name;
      continue;
    }
    std::vector<float> values(param.elements(), param.constant);
    if (param.kind != ParamKind::kRunning) values = counter::weights(param, place++, "bn2");
    EXPECT_EQ(golden.shape(param.name), param.shape) << param.name;
    EXPECT_EQ(golden.floats(param.name), values) << param.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, GoldenResNet18Test, testing::ValuesIn(every_device()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Devices, GoldenNetTest,
                         testing::Values(OpCase{DeviceKind::kCpu}, OpCase{DeviceKind::kCuda}), name_of_case);

}  // namespace
}  // namespace tdds::test
