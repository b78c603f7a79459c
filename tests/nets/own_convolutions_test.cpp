// Whole networks in 16 bits with the GPU's own 3x3 convolutions, on simt: as near to PyTorch in float64 as
// with convolutions that are computed in fp32 and rounded.

#include <gtest/gtest.h>

#include <cstdio>
#include <numeric>

#include "kernels/numerics/half_convert.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "nets/resnet.h"
#include "tests/golden/golden.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

struct Distances {
  double logits, gradients;  // of the gradients, the root mean square of the tensors' distances
};

// One forward and backward pass.
class OnePass {
 public:
  OnePass(const char* fixture, const ResNetSpec& spec, DType dtype, OwnConvolutions own)
      : golden_(fixture),
        dtype_(dtype),
        spec_(spec),
        images_(static_cast<std::int32_t>(golden_.shape("input")[0])),
        device_(make_device(DeviceKind::kSimt, {.own_convolutions = own})),
        stream_(device_->make_stream()),
        net_(make_resnet(spec)) {
    net_->params().place(*device_, *stream_, dtype);
    pass_ = net_->make_pass(*device_, {.batch = images_, .compute = dtype});
    pass_->bind(saved_, scratch_, tickets_);
    for (Arena* arena : {&saved_, &scratch_, &tickets_}) arena->place(*device_);
    pass_->bind(saved_, scratch_, tickets_);
    upload_weights();
    run();
  }

  Distances distances() {
    std::vector<float> logits(std::size_t(images_) * spec_.classes);
    stream_->download(logits.data(), pass_->logits(), logits.size() * sizeof(float));
    stream_->synchronize();
    double squares = 0;
    std::uint32_t place = 0;
    for (std::size_t i = 0; i < net_->params().list().size(); ++i) {
      const Param& param = net_->params().list()[i];
      if (param.kind == ParamKind::kCounter || param.kind == ParamKind::kRunning) continue;
      const auto bytes = net_->params().download(*stream_, static_cast<int>(i), "gradient");
      std::vector<float> values(bytes.size() / sizeof(float));
      std::memcpy(values.data(), bytes.data(), bytes.size());
      for (float& value : values) value /= scale();
      const std::string name = "grad." + param.name;
      const double one = golden_.contains(name) ? distance(values, golden_.floats(name))
                                                : counter::summary_distance(counter::summary(values, place),
                                                                            golden_.floats(name + ".summary"))
                                                      .back();
      squares += one * one;
      ++place;
    }
    return {distance(logits, golden_.floats("logits")), std::sqrt(squares / place)};
  }

  int own_directions() const {
    int count = 0;
    for (const ConvolutionPlan& plan : pass_->plans())
      for (const ServedDirection& one : plan.served) count += one.by.starts_with("own ");
    return count;
  }

 private:
  float scale() const { return dtype_ == DType::kF16 ? 1024 : 1; }  // of the loss

  void upload_weights() {
    std::uint32_t place = 0;
    for (std::size_t i = 0; i < net_->params().list().size(); ++i) {
      const Param& param = net_->params().list()[i];
      if (param.kind == ParamKind::kCounter) continue;
      std::vector<float> values(param.elements(), param.constant);
      if (param.kind != ParamKind::kRunning) values = counter::weights(param, place++, "bn2");
      net_->params().upload(*stream_, static_cast<int>(i), std::as_bytes(std::span(values)));
    }
  }

  template <class T>
  DeviceMemory upload(const std::vector<T>& values) {
    DeviceMemory memory(*device_, values.size() * sizeof(T), "a test buffer");
    stream_->upload(memory.data(), values.data(), memory.bytes());
    stream_->synchronize();
    return memory;
  }

  void run() {
    const std::vector<std::int64_t> shape{images_, 3, spec_.image_size, spec_.image_size};
    std::vector<std::uint16_t> input;
    for (const float value : channels_last(golden_.floats("input"), shape))
      input.push_back(dtype_ == DType::kF16 ? from_float<half_t>(value).bits
                                            : from_float<bf16_t>(value).bits);
    stream_->upload(pass_->input().data, input.data(), input.size() * sizeof(std::uint16_t));
    stream_->synchronize();
    std::vector<std::int32_t> order(static_cast<std::size_t>(images_)), labels(order.size());
    std::iota(order.begin(), order.end(), 0);
    const auto wide = golden_.ints("label");
    std::copy(wide.begin(), wide.end(), labels.begin());
    const DeviceMemory ids = upload(order), classes = upload(labels),
                       state = upload(std::vector{state_at(0, 0, 0)});
    const DeviceMemory loss = upload(std::vector<float>(order.size())),
                       correct = upload(std::vector<std::uint8_t>(order.size()));

    stream_->zero(pass_->tickets().data(), pass_->tickets().size_bytes());
    pass_->forward(*stream_);
    softmax_kl(*stream_, {.logits = pass_->logits(),
                          .labels = classes.get<std::int32_t>(),
                          .order = ids.get<std::int32_t>(),
                          .state = state.get<StepState>(),
                          .dlogits = pass_->dlogits(),
                          .prev_logp = nullptr,
                          .visit_logits = nullptr,
                          .out = {.loss = loss.get<float>(), .correct = correct.get<std::uint8_t>()},
                          .batch_weight = nullptr,
                          .loss_scale = scale(),
                          .batch = images_,
                          .classes = spec_.classes});
    pass_->backward(*stream_);
    stream_->synchronize();
  }

  Golden golden_;
  DType dtype_;
  ResNetSpec spec_;
  std::int32_t images_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Net> net_;
  std::unique_ptr<Pass> pass_;
  Arena saved_{"saved"}, scratch_{"scratch"}, tickets_{"tickets"};
};

void expect_as_near(const char* fixture, const ResNetSpec& spec, std::initializer_list<DType> dtypes) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "whole networks take minutes with sanitizers; the kernels' own tests run";
#endif
  for (const DType dtype : dtypes) {
    OnePass own(fixture, spec, dtype, OwnConvolutions::kAlways);
    OnePass other(fixture, spec, dtype, OwnConvolutions::kNever);
    // 13 convolutions of ResNet-18 are 3x3 with stride 1 and 64 channels or more, each with two directions.
    EXPECT_EQ(own.own_directions(), 26);
    EXPECT_EQ(other.own_directions(), 0);
    const Distances a = own.distances(), b = other.distances();
    std::printf("%s, %s: logits %.2e with own convolutions, %.2e without; gradients %.2e, %.2e\n", fixture,
                to_string(dtype), a.logits, b.logits, a.gradients, b.gradients);
    // Both round every activation once. Their sums differ in order, and so do the roundings that follow.
    EXPECT_LE(a.logits, 1.5 * b.logits) << to_string(dtype);
    EXPECT_LE(a.gradients, 1.5 * b.gradients) << to_string(dtype);
  }
}

TEST(OwnConvolutionsTest, ResNet18IsAsNearToFloat64) {
  expect_as_near("resnet18_full", {.arch = "resnet18", .classes = 100, .width = 1.0, .image_size = 32},
                 {DType::kF16, DType::kBf16});
}

TEST(OwnConvolutionsTest, ImageNetResNet18IsAsNearToFloat64) {
  expect_as_near(
      "resnet18_imagenet",
      {.arch = "resnet18", .classes = 100, .width = 1.0, .image_size = 64, .stem = Stem::kImageNet},
      {DType::kF16});
}

}  // namespace
}  // namespace tdds::test
