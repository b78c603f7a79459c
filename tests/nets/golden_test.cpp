// Compares whole networks with PyTorch in float64. tests/golden/make_goldens.py describes the fixtures.

#include <cstdio>
#include <map>
#include <numeric>

#include "kernels/ops/advance.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "nets/resnet.h"
#include "tests/golden/golden.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

constexpr float kLr = 0.01f, kMomentum = 0.9f, kWeightDecay = 5e-4f;

// The distance of a tensor from float64 may be 3 times that of PyTorch's own float32. Where that is almost
// zero, the bound is the rounding error of a network without flipped ReLUs: 1e-5 for gradients and logits;
// 1e-6 for losses and for the state after a step, which changes by a hundredth of the gradient. (Weight decay
// changes a weight by 1e-5.) Winograd's transforms lose digits (a sum is accurate to 5e-6, a direct one to
// 1e-6), but not more than the networks themselves: with AVX-512, AVX2 and plain C++, and oneDNN 2.6 and 3.7,
// the largest factor seen is 2.5 (a loss of the narrow ResNet-50). The tests print it.
constexpr double kYardsticks = 3;
constexpr double kTensor = 1e-5, kState = 1e-6, kLoss = 1e-6;
// The error of a mean is half an ulp of fp32 relative to the spread of the values, not to the mean itself.
// (The stem's mean is a hundredth of its spread.)
constexpr double kMean = 0x1p-24;

class GoldenNetTest : public OpTest {
 protected:
  // Compares both algorithms of a CPU separately; its default is a mixture of them.
  void compare(const char* fixture, const ResNetSpec& spec) {
    if (!is_cpu()) return compare_by(ConvAlgo::kAuto, fixture, spec);
    for (const ConvAlgo algo : {ConvAlgo::kDirect, ConvAlgo::kWinograd}) {
      SCOPED_TRACE(algo == ConvAlgo::kDirect ? "direct" : "winograd");
      compare_by(algo, fixture, spec);
    }
  }

 private:
  void compare_by(ConvAlgo algo, const char* fixture, const ResNetSpec& spec) {
    algo_ = algo;
    start(fixture, spec);
    expect_inputs();
    const auto losses = golden_->floats("loss");
    auto yardstick = golden_->floats("loss.yardstick");
    // The loss of a step depends on the errors of earlier steps, so its bound is at least theirs.
    for (std::size_t step = 1; step < yardstick.size(); ++step)
      yardstick[step] = std::max(yardstick[step], yardstick[step - 1]);
    for (std::size_t step = 0; step < losses.size(); ++step) {
      const double loss = gradients(static_cast<std::int64_t>(step));
      expect_within(std::abs(loss - losses[step]), yardstick[step], kLoss * losses[step],
                    "loss of step " + std::to_string(step));
      if (step == 0) {
        expect_within(distance(logits_, golden_->floats("logits")), 0, kTensor, "logits");
        expect_tensors("grad", "gradient");
      }
      update();
      if (step == 0) {
        expect_tensors("step1", "weight");
        expect_tensor("eval_logits", inference(0), 0);
      }
    }
    for (const Param& param : params().list())
      if (param.kind == ParamKind::kCounter) expect_counter(param, static_cast<std::int64_t>(losses.size()));
    print_farthest(fixture);
  }

  void start(const char* fixture, const ResNetSpec& spec) {
    place_.clear();
    farthest_.clear();
    saved_ = std::make_unique<Arena>("saved");
    scratch_ = std::make_unique<Arena>("scratch");
    tickets_ = std::make_unique<Arena>("tickets");
    golden_ = std::make_unique<Golden>(fixture);
    spec_ = spec;
    images_ = static_cast<std::int32_t>(golden_->shape("input")[0]);
    net_ = make_resnet(spec);
    params().place(device(), stream(), DType::kF32);
    train_ = net_->make_pass(device(), {.batch = images_, .train = true, .algo = algo_});
    eval_ = net_->make_pass(device(), {.batch = images_, .train = false, .algo = algo_});
    for (int i = 0; i < 2; ++i) {
      train_->bind(*saved_, *scratch_, *tickets_);
      eval_->bind(*saved_, *scratch_, *tickets_);
      if (i == 1) break;
      saved_->place(device());
      scratch_->place(device());
      tickets_->place(device());
    }
    lr_ = upload(std::vector<float>(16, kLr));
    state_ = upload<StepState>({state_at(0, 0, 0)});
    loss_ = empty<float>(images_);
    correct_ = empty<std::uint8_t>(images_);
    upload_weights();
  }

  void upload_weights() {
    const std::string last_norm = spec_.arch == "resnet18" ? "bn2" : "bn3";
    std::uint32_t place = 0;
    for (std::size_t i = 0; i < params().list().size(); ++i) {
      const Param& param = params().list()[i];
      place_.push_back(place);
      if (param.kind == ParamKind::kCounter) continue;
      std::vector<float> values(param.elements(), param.constant);
      if (param.kind != ParamKind::kRunning) values = counter::weights(param, place++, last_norm);
      params().upload(stream(), static_cast<int>(i), std::as_bytes(std::span(values)));
    }
  }

  std::int64_t batch_number(std::int64_t step) const { return golden_->ints("first_batch")[0] + step; }
  std::size_t input_elements() const {
    return std::size_t(images_) * 3 * spec_.image_size * spec_.image_size;
  }
  std::vector<std::int32_t> labels(std::int64_t step) const {
    return counter::labels(batch_number(step), images_, static_cast<std::uint32_t>(spec_.classes));
  }

  // Both sides compute the inputs by formula and get the same bits.
  void expect_inputs() {
    EXPECT_EQ(counter::input(batch_number(0), input_elements()), golden_->floats("input"));
    const auto wide = golden_->ints("label");
    EXPECT_EQ(labels(0), std::vector<std::int32_t>(wide.begin(), wide.end()));
  }

  void feed(const Pass& pass, std::int64_t step) {
    const std::vector<std::int64_t> shape{images_, 3, spec_.image_size, spec_.image_size};
    const auto values = channels_last(counter::input(batch_number(step), input_elements()), shape);
    stream().upload(pass.input().data, values.data(), values.size() * sizeof(float));
    stream().synchronize();
    labels_ = upload(labels(step));
  }

  // The order up to and including this step: the images of each batch have the ids 0 .. images-1.
  std::vector<std::int32_t> ids(std::int64_t step) const {
    std::vector<std::int32_t> order(images_ * (step + 1));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i % images_);
    return order;
  }

  // Forward, loss, backward; the mean loss.
  double gradients(std::int64_t step) {
    feed(*train_, step);
    order_ = upload(ids(step));
    stream().zero(train_->tickets().data(), train_->tickets().size_bytes());
    train_->forward(stream());
    const std::size_t logits = std::size_t(images_) * spec_.classes;
    logits_ = download(train_->logits(), logits);
    softmax_kl(stream(), {.logits = train_->logits(),
                          .labels = labels_,
                          .order = order_,
                          .state = state_,
                          .dlogits = train_->dlogits(),
                          .prev_logp = nullptr,
                          .visit_logits = nullptr,
                          .out = {.loss = loss_, .correct = correct_},
                          .batch_weight = nullptr,
                          .loss_scale = 1,
                          .batch = images_,
                          .classes = spec_.classes});
    train_->backward(stream());
    const auto losses = download(loss_);
    return std::accumulate(losses.begin(), losses.end(), 0.0) / images_;
  }

  void update() {
    for (const Params::Range* range : {&params().filters(), &params().vectors()})
      sgd(stream(), {.w = range->w,
                     .v = range->v,
                     .gradient = range->gradient,
                     .compute = range->compute,
                     .lr_table = lr_,
                     .state = state_,
                     .n = range->n,
                     .gradient_dtype = DType::kF32,
                     .compute_dtype = DType::kF32,
                     .momentum = kMomentum,
                     .weight_decay = kWeightDecay,
                     .inverse_scale = 1,
                     .nesterov = true});
    advance(stream(), {.state = state_,
                       .order = order_,
                       .loss = loss_,
                       .correct = correct_,
                       .batch = images_,
                       .count_step = true});
    stream().synchronize();
  }

  std::vector<float> inference(std::int64_t step) {
    feed(*eval_, step);
    eval_->forward(stream());
    return download(eval_->logits(), std::size_t(images_) * spec_.classes);
  }

  // Every tensor of a kind ("grad", "step1") against the fixture.
  void expect_tensors(const std::string& kind, const char* which) {
    for (std::size_t i = 0; i < params().list().size(); ++i) {
      const Param& param = params().list()[i];
      if (param.kind == ParamKind::kCounter || (kind == "grad" && param.kind == ParamKind::kRunning))
        continue;
      const auto bytes = params().download(stream(), static_cast<int>(i), which);
      std::vector<float> values(bytes.size() / sizeof(float));
      std::memcpy(values.data(), bytes.data(), bytes.size());
      expect_tensor(kind + "." + param.name, values, place_[i]);
    }
  }

  void expect_tensor(std::string name, std::vector<float> values, std::uint32_t place) {
    const bool whole = golden_->contains(name);
    if (!whole) {
      name += ".summary";
      values = counter::summary(values, place);
    }
    const auto golden = golden_->floats(name), yardstick = golden_->floats(name + ".yardstick");
    const auto distances =
        whole ? std::vector<double>{distance(values, golden)} : counter::summary_distance(values, golden);
    ASSERT_EQ(distances.size(), yardstick.size()) << name;
    const double rounding =
        std::max(name.starts_with("step1.") ? kState : kTensor, whole ? mean_tolerance(name) : 0.0);
    for (std::size_t j = 0; j < distances.size(); ++j)
      expect_within(distances[j], yardstick[j], rounding, name + ", part " + std::to_string(j));
  }

  // Expects the distance to be within kYardsticks yardsticks or within the rounding error.
  void expect_within(double distance, double yardstick, double rounding, const std::string& what) {
    EXPECT_LE(distance, std::max(kYardsticks * yardstick, rounding)) << what;
    Farthest& kind = farthest_[what.substr(0, what.find_first_of(". ,"))];
    kind.of_rounding = std::max(kind.of_rounding, distance / rounding);
    if (distance > rounding) kind.yardsticks = std::max(kind.yardsticks, distance / yardstick);
  }
  void print_farthest(const char* fixture) const {
    const char* way = algo_ == ConvAlgo::kAuto       ? "auto"
                      : algo_ == ConvAlgo::kWinograd ? "winograd"
                                                     : "direct";
    for (const auto& [kind, most] : farthest_)
      std::printf("%s, %s, %s: up to %.2f of the rounding error, beyond it %.2f yardsticks\n", fixture, way,
                  kind.c_str(), most.of_rounding, most.yardsticks);
  }

  // The tolerance of a running mean after the first step (0.1 of the batch's mean), relative to its norm.
  double mean_tolerance(const std::string& name) const {
    const std::size_t at = name.rfind("running_mean");
    if (at == std::string::npos) return 0;
    double spread = 0, mean = 0;
    for (const float variance : golden_->floats(name.substr(0, at) + "running_var"))
      spread += 0.1 * std::max(0.0f, variance - 0.9f);  // (0.1 std)^2
    for (const float value : golden_->floats(name)) mean += double{value} * value;
    return kMean * std::sqrt(spread / mean);
  }

  void expect_counter(const Param& param, std::int64_t batches) {
    const auto index = &param - params().list().data();
    std::int64_t value = 0;
    std::memcpy(&value, params().download(stream(), static_cast<int>(index)).data(), sizeof value);
    EXPECT_EQ(value, batches) << param.name;
  }

  Params& params() { return net_->params(); }

  std::unique_ptr<Golden> golden_;
  ResNetSpec spec_;
  ConvAlgo algo_ = ConvAlgo::kAuto;
  std::int32_t images_ = 0;
  std::unique_ptr<Net> net_;
  std::unique_ptr<Arena> saved_, scratch_, tickets_;
  std::unique_ptr<Pass> train_, eval_;
  Buffer<float> lr_, loss_;
  Buffer<std::uint8_t> correct_;
  Buffer<std::int32_t> labels_, order_;
  Buffer<StepState> state_;
  std::vector<float> logits_;
  // By kind of quantity ("grad"): the largest distances of its tensors.
  struct Farthest {
    double of_rounding = 0, yardsticks = 0;
  };
  std::map<std::string, Farthest> farthest_;
  std::vector<std::uint32_t> place_;  // by parameter or buffer: the number of trained parameters before it
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
