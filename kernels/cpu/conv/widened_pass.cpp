#include "kernels/cpu/conv/widened_pass.h"

#include "kernels/numerics/half_convert.h"

namespace tdds::cpu {
namespace {

constexpr std::size_t kAlignment = 256;

template <class T>
class WidenedPass final : public Conv2dPass {
 public:
  WidenedPass(const Conv2dSpec& s, Direction direction, std::unique_ptr<Conv2dPass> pass)
      : pass_(std::move(pass)) {
    const std::int64_t x = std::int64_t{s.batch} * s.height * s.width * s.channels;
    const std::int64_t w = std::int64_t{s.out_channels} * s.filter_h * s.filter_w * s.channels;
    const std::int64_t y = std::int64_t{s.batch} * s.out_height() * s.out_width() * s.out_channels;
    const bool forward = direction == Direction::kForward, filter = direction == Direction::kBackwardFilter;
    a_ = forward || filter ? x : y;
    b_ = filter ? y : w;
    out_ = forward ? y : filter ? w : x;
  }

  std::size_t workspace_bytes() const override {
    return bytes(a_) + bytes(b_) + bytes(out_) + pass_->workspace_bytes();
  }

  void run(const void* a, const void* b, void* out, bool accumulate, void* workspace) const override {
    auto* const memory = static_cast<std::byte*>(workspace);
    auto* const wide_a = reinterpret_cast<float*>(memory);
    auto* const wide_b = reinterpret_cast<float*>(memory + bytes(a_));
    auto* const wide_out = reinterpret_cast<float*>(memory + bytes(a_) + bytes(b_));
    convert(static_cast<const T*>(a), wide_a, a_);
    convert(static_cast<const T*>(b), wide_b, b_);
    if (accumulate) convert(static_cast<const T*>(out), wide_out, out_);
    pass_->run(wide_a, wide_b, wide_out, accumulate, memory + bytes(a_) + bytes(b_) + bytes(out_));
    convert(wide_out, static_cast<T*>(out), out_);
  }

  std::string name() const override { return pass_->name() + " in fp32"; }

 private:
  static std::size_t bytes(std::int64_t n) {
    return round_up(static_cast<std::size_t>(n) * sizeof(float), kAlignment);
  }

  template <class From, class To>
  static void convert(const From* from, To* to, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = from_float<To>(to_float(from[i]));
  }

  std::unique_ptr<Conv2dPass> pass_;
  std::int64_t a_, b_, out_;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_widened_pass(const Conv2dSpec& spec, Direction direction,
                                              std::unique_ptr<Conv2dPass> pass) {
  if (spec.dtype == DType::kF16)
    return std::make_unique<WidenedPass<half_t>>(spec, direction, std::move(pass));
  return std::make_unique<WidenedPass<bf16_t>>(spec, direction, std::move(pass));
}

}  // namespace tdds::cpu
