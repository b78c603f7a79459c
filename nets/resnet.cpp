#include "nets/resnet.h"

#include <array>
#include <cmath>
#include <optional>

#include "engine/gradient_ring.h"
#include "engine/layer.h"
#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

struct Arch {
  const char* name;
  std::array<int, 4> blocks;
  bool bottleneck;
};
constexpr std::array kArchs{Arch{"resnet18", {2, 2, 2, 2}, false}, Arch{"resnet34", {3, 4, 6, 3}, false},
                            Arch{"resnet50", {3, 4, 6, 3}, true}, Arch{"resnet101", {3, 4, 23, 3}, true}};

const Arch& find_arch(std::string_view name) {
  for (const Arch& arch : kArchs)
    if (name == arch.name) return arch;
  throw UsageError(fmt::format(
      "there is no network '{}'; choose resnet18, resnet34, resnet50 or resnet101 (`arch`)", name));
}

std::int32_t scaled_channels(double width, std::int32_t base) {
  const double channels = width * base;
  check_usage(channels >= 1 && channels <= 16384 && channels == std::floor(channels),
              "width {} makes {} channels of {}; use a width that gives a whole number of at least 1, such "
              "as 0.25 or 0.5",
              width, channels, base);
  return static_cast<std::int32_t>(channels);
}

// A convolution and the batch norm after it.
struct UnitDecl {
  ConvDecl conv;
  BatchNormDecl norm;
};

struct BlockDecl {
  std::vector<UnitDecl> main;  // two 3x3, or 1x1, 3x3, 1x1
  std::optional<UnitDecl> shortcut;
};

struct NetDecl {
  ResNetSpec spec;
  std::optional<UnitDecl> stem;
  std::vector<BlockDecl> blocks;
  std::optional<HeadDecl> head;
};

// The gradient of a norm's output. With sums, it is the norm's g, and that norm is the next op.
struct Gradient {
  void* d;
  BatchNormPartials sums = {};
};

struct Unit {
  ConvLayer conv;
  BatchNormLayer norm;

  Unit(PassContext& context, const UnitDecl& decl, std::int32_t height, std::int32_t width, bool relu,
       bool residual = false)
      : conv(context, decl.conv, height, width), norm(context, decl.norm, conv.y_rows(), relu, residual) {}

  void bind(Arena& saved) {
    conv.bind(saved);
    norm.bind(saved, conv.y());
  }
  void forward(Stream& stream, const void* x, const void* residual = nullptr) {
    const BatchNormPartials moments = conv.forward(stream, x, norm);
    norm.forward(stream, residual, moments);
  }
  // Returns the gradient of x, for that of the convolution's output, which it uses up. `previous` is the norm
  // that made x; null if none did. The filter's gradient comes first, because it runs beside what follows.
  Gradient backward_conv(Stream& stream, GradientRing& ring, const void* x, void* dy,
                         const BatchNormLayer* previous) {
    const Stream::Fork reader = conv.backward_filter(stream, x, dy);
    void* dx = ring.take(stream);
    const BatchNormPartials sums = conv.backward_data(stream, dy, dx, false, previous);
    ring.give_back(dy, reader);
    return {dx, sums};
  }
  void* y() const { return norm.y(); }
};

class Block {
 public:
  Block(PassContext& context, const BlockDecl& decl, std::int32_t height, std::int32_t width) {
    std::int32_t h = height, w = width;
    for (std::size_t i = 0; i < decl.main.size(); ++i) {
      const bool last = i + 1 == decl.main.size();
      main_.push_back(std::make_unique<Unit>(context, decl.main[i], h, w, true, last));
      h = main_.back()->conv.out_height();
      w = main_.back()->conv.out_width();
    }
    if (decl.shortcut) shortcut_ = std::make_unique<Unit>(context, *decl.shortcut, height, width, false);
  }

  void bind(Arena& saved) {
    for (auto& unit : main_) unit->bind(saved);
    if (shortcut_) shortcut_->bind(saved);
  }

  void forward(Stream& stream, const void* x) {
    x_ = x;
    if (shortcut_) shortcut_->forward(stream, x);
    const void* residual = shortcut_ ? shortcut_->y() : x;
    const void* h = x;
    for (std::size_t i = 0; i < main_.size(); ++i) {
      main_[i]->forward(stream, h, i + 1 == main_.size() ? residual : nullptr);
      h = main_[i]->y();
    }
  }

  // Returns the gradient of the input, for that of the output, which it uses up. `previous` is the norm that
  // made the input; null if none did.
  Gradient backward(Stream& stream, GradientRing& ring, const Gradient& dy, const BatchNormLayer* previous) {
    void* d = ring.take(stream);  // the gradient of a convolution's output
    void* shortcut = dy.d;        // becomes that of the shortcut
    main_.back()->norm.backward(stream, dy.d, d, shortcut, dy.sums);
    for (std::size_t i = main_.size() - 1; i > 0; --i) {
      BatchNormLayer& norm = main_[i - 1]->norm;
      const Gradient of_norm = main_[i]->backward_conv(stream, ring, norm.y(), d, &norm);
      d = of_norm.d;
      norm.backward(stream, d, d, nullptr, of_norm.sums);
    }
    const Stream::Fork reader = main_[0]->conv.backward_filter(stream, x_, d);
    if (shortcut_) {
      shortcut_->norm.backward(stream, shortcut, shortcut, nullptr);
      shortcut = shortcut_->backward_conv(stream, ring, x_, shortcut, nullptr).d;
    }
    const BatchNormPartials sums = main_[0]->conv.backward_data(stream, d, shortcut, true, previous);
    ring.give_back(d, reader);
    return {shortcut, sums};
  }

  const BatchNormLayer& last_norm() const { return main_.back()->norm; }
  const void* y() const { return main_.back()->y(); }
  std::int32_t out_height() const { return main_.back()->conv.out_height(); }
  std::int32_t out_width() const { return main_.back()->conv.out_width(); }
  std::size_t gradient_bytes() const {
    std::size_t most = main_[0]->conv.x_bytes();
    for (const auto& unit : main_) most = std::max(most, unit->conv.y_bytes());
    return most;
  }
  void add_plans(std::vector<ConvolutionPlan>& plans) const {
    for (const auto& unit : main_) plans.push_back(unit->conv.plan());
    if (shortcut_) plans.push_back(shortcut_->conv.plan());
  }

 private:
  std::vector<std::unique_ptr<Unit>> main_;
  std::unique_ptr<Unit> shortcut_;
  const void* x_ = nullptr;
};

class ResNetPass final : public Pass {
 public:
  ResNetPass(Device& device, Params& params, const NetDecl& decl, const PassSpec& spec)
      : context_{device,     params,          spec.compute,
                 spec.batch, spec.train,      spec.math,
                 spec.algo,  spec.full_batch, spec.train ? spec.whole : WholeBatch{}},
        size_(decl.spec.image_size),
        channels_(decl.spec.input_channels),
        stem_(context_, *decl.stem, size_, size_, true) {
    std::int32_t h = stem_.conv.out_height(), w = stem_.conv.out_width();
    if (decl.spec.stem == Stem::kImageNet) {
      pool_.emplace(context_, h, w, stem_.conv.y_channels());
      h = pool_->out_height();
      w = pool_->out_width();
    }
    for (const BlockDecl& block : decl.blocks) {
      blocks_.push_back(std::make_unique<Block>(context_, block, h, w));
      h = blocks_.back()->out_height();
      w = blocks_.back()->out_width();
    }
    head_.emplace(context_, *decl.head, h * w);
  }

  void bind(Arena& saved, Arena& scratch, Arena& tickets) override {
    saved.begin();
    scratch.begin();
    tickets.begin();
    input_ = saved.take(stem_.conv.x_bytes());
    stem_.bind(saved);
    if (pool_) pool_->bind(saved);
    for (auto& block : blocks_) block->bind(saved);
    head_->bind(saved);
    context_.workspace = scratch.take(context_.workspace_bytes);
    context_.tickets = tickets.take_array<std::uint32_t>(context_.ticket_count);
    if (!context_.train) return;
    context_.branch_workspace =
        context_.device.has_branches() ? scratch.take(context_.branch_workspace_bytes) : context_.workspace;
    std::size_t bytes = stem_.conv.y_bytes();
    for (auto& block : blocks_) bytes = std::max(bytes, block->gradient_bytes());
    gradients_.bind(scratch, GradientRing::buffers_for(context_.device), bytes);
  }

  TensorView input() const override {
    return make_view(input_, context_.compute, {context_.batch, size_, size_, channels_});
  }
  float* logits() const override { return head_->logits(); }
  float* dlogits() const override { return head_->dlogits(); }
  const float* features() const override { return head_->features(); }
  std::span<std::uint32_t> tickets() const override { return {context_.tickets, context_.ticket_count}; }

  void forward(Stream& stream, const Loss* loss) override {
    stem_.forward(stream, input_);
    const void* h = stem_.y();
    if (pool_) {
      pool_->forward(stream, h);
      h = pool_->y();
    }
    for (auto& block : blocks_) {
      block->forward(stream, h);
      h = block->y();
    }
    head_->forward(stream, h, loss ? &loss->softmax : nullptr, loss ? loss->feature_norm : nullptr);
  }

  void backward(Stream& stream, const std::function<void(std::size_t mark)>& reached) override {
    check(context_.train, "ResNetPass::backward: this pass was made for inference");
    GradientRing ring = gradients_;  // every step takes the same buffers
    Gradient d{ring.take(stream)};
    head_->backward(stream, d.d);
    for (std::size_t i = blocks_.size(); i-- > 0;) {
      const BatchNormLayer* const stem = pool_ ? nullptr : &stem_.norm;
      d = blocks_[i]->backward(stream, ring, d, i > 0 ? &blocks_[i - 1]->last_norm() : stem);
      if (reached) reached(blocks_.size() - 1 - i);
    }
    if (pool_) {
      void* dx = ring.take(stream);
      pool_->backward(stream, d.d, dx);
      ring.give_back(d.d);
      d = {dx};
    }
    stem_.norm.backward(stream, d.d, d.d, nullptr, d.sums);
    stem_.conv.backward_filter(stream, input_, d.d);
    if (reached) reached(blocks_.size());
    stream.join();  // the caller reads the gradients
  }

  std::vector<ConvolutionPlan> plans() const override {
    std::vector<ConvolutionPlan> plans{stem_.conv.plan()};
    for (const auto& block : blocks_) block->add_plans(plans);
    return plans;
  }

 private:
  PassContext context_;
  std::int32_t size_, channels_;
  Unit stem_;
  std::optional<MaxPoolLayer> pool_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::optional<HeadLayer> head_;
  void* input_ = nullptr;
  GradientRing gradients_;
};

class ResNet final : public Net {
 public:
  explicit ResNet(const ResNetSpec& spec) : arch_(find_arch(spec.arch)), name_(spec.arch) {
    decl_.spec = spec;
    check_usage(spec.classes >= 2, "a network needs at least 2 classes, not {}", spec.classes);
    check_usage(spec.input_channels >= 3, "the input has at least 3 channels, not {}", spec.input_channels);
    std::int32_t channels = scaled_channels(spec.width, 64);
    std::int32_t size = spec.image_size;
    const bool imagenet = spec.stem == Stem::kImageNet;
    decl_.stem = declare_unit("conv1", "bn1", 3, channels, imagenet ? 7 : 3, imagenet ? 2 : 1, size,
                              spec.input_channels);
    decl_.stem->conv.data_gradient = GradientMode::kSkip;
    if (imagenet) size = (size + 1) / 2;  // the max-pool
    for (int stage = 0; stage < 4; ++stage)
      for (int i = 0; i < arch_.blocks[stage]; ++i) {
        const std::string name = fmt::format("layer{}.{}", stage + 1, i);
        const int stride = stage > 0 && i == 0 ? 2 : 1;
        channels = declare_block(name, channels, scaled_channels(spec.width, 64 << stage), stride, size);
      }
    features_ = channels;
    decl_.head = HeadDecl::declare(params_, "fc", channels, spec.classes);
    macs_ += double(channels) * spec.classes;
  }

  const std::string& name() const override { return name_; }
  std::int32_t classes() const override { return decl_.spec.classes; }
  std::int32_t features() const override { return features_; }
  std::int32_t input_channels() const override { return decl_.spec.input_channels; }
  double forward_macs() const override { return macs_; }
  // After each block, as its parameters follow those of the blocks before it, and after the stem.
  std::vector<GradientMark> gradient_marks() const override {
    const auto offset = [&](int parameter) {
      return params_.list()[static_cast<std::size_t>(parameter)].offset;
    };
    std::vector<GradientMark> marks;
    for (std::size_t i = decl_.blocks.size(); i-- > 0;) {
      const UnitDecl& first = decl_.blocks[i].main.front();
      marks.push_back({.filters = offset(first.conv.filter), .vectors = offset(first.norm.weight)});
    }
    marks.push_back({});
    return marks;
  }
  std::vector<std::int32_t> norm_channels() const override {
    std::vector<std::int32_t> channels{decl_.stem->norm.channels};
    for (const BlockDecl& block : decl_.blocks) {  // as in Block::forward
      if (block.shortcut) channels.push_back(block.shortcut->norm.channels);
      for (const UnitDecl& unit : block.main) channels.push_back(unit.norm.channels);
    }
    return channels;
  }
  Params& params() override { return params_; }
  std::unique_ptr<Pass> make_pass(Device& device, const PassSpec& spec) override {
    return std::make_unique<ResNetPass>(device, params_, decl_, spec);
  }

 private:
  // `size` is the map's height and width before the convolution, and after it on return.
  UnitDecl declare_unit(const std::string& conv, const std::string& norm, std::int32_t channels,
                        std::int32_t out, std::int32_t filter, std::int32_t stride, std::int32_t& size,
                        std::int32_t stored = 0) {
    const ConvDecl conv_decl = ConvDecl::declare(params_, conv, channels, out, filter, stride, stored);
    size = ceil_div(size, stride);
    macs_ += double(size) * size * filter * filter * channels * out;
    return {conv_decl, BatchNormDecl::declare(params_, norm, out)};
  }

  std::int32_t declare_block(const std::string& name, std::int32_t channels, std::int32_t planes,
                             std::int32_t stride, std::int32_t& size) {
    const std::int32_t out = arch_.bottleneck ? planes * 4 : planes;
    std::int32_t main_size = size, shortcut_size = size;
    BlockDecl block;
    const auto unit = [&](int i, std::int32_t in, std::int32_t to, std::int32_t filter, std::int32_t by) {
      block.main.push_back(declare_unit(fmt::format("{}.conv{}", name, i), fmt::format("{}.bn{}", name, i),
                                        in, to, filter, by, main_size));
    };
    if (arch_.bottleneck) {
      unit(1, channels, planes, 1, 1);
      unit(2, planes, planes, 3, stride);
      unit(3, planes, out, 1, 1);
    } else {
      unit(1, channels, planes, 3, stride);
      unit(2, planes, planes, 3, 1);
    }
    if (stride != 1 || channels != out)
      block.shortcut = declare_unit(name + ".downsample.0", name + ".downsample.1", channels, out, 1, stride,
                                    shortcut_size);
    // As in Block::backward, which adds the first convolution's data gradient to the shortcut's.
    for (UnitDecl& one : block.main) one.conv.data_gradient = GradientMode::kOverwrite;
    block.main.front().conv.data_gradient = GradientMode::kAccumulate;
    if (block.shortcut) block.shortcut->conv.data_gradient = GradientMode::kOverwrite;
    size = main_size;
    decl_.blocks.push_back(std::move(block));
    return out;
  }

  const Arch& arch_;
  std::string name_;
  NetDecl decl_;
  Params params_;
  std::int32_t features_ = 0;
  double macs_ = 0;
};

}  // namespace

const char* to_string(Stem stem) {
  return stem == Stem::kCifar ? "cifar" : "imagenet";
}

std::vector<std::string> resnet_names() {
  std::vector<std::string> names;
  names.reserve(kArchs.size());
  for (const Arch& arch : kArchs) names.emplace_back(arch.name);
  return names;
}

std::unique_ptr<Net> make_resnet(const ResNetSpec& spec) {
  return std::make_unique<ResNet>(spec);
}

}  // namespace tdds
