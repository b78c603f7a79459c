#include "kernels/cpu/conv/onednn_conv.h"

#include <algorithm>
#include <dnnl.hpp>
#include <unordered_map>

#include "kernels/cpu/conv/batch_parts.h"
#include "kernels/cpu/onednn.h"
#include "kernels/numerics/half_convert.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu::onednn {
namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

const dnnl::engine& engine() {
  prepare();
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::memory::data_type type_of(DType dtype) {
  return dtype == DType::kBf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// The caller provides the scratch memory, so running a primitive allocates none.
dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

struct Geometry {
  Geometry(const Conv2dSpec& s, DType filter)
      : x({s.batch, s.channels, s.height, s.width}, type_of(s.dtype), Tag::nhwc),
        w_any({s.out_channels, s.channels, s.filter_h, s.filter_w}, type_of(filter), Tag::any),
        w_krsc({s.out_channels, s.channels, s.filter_h, s.filter_w}, type_of(filter), Tag::ohwi),
        y({s.batch, s.out_channels, s.out_height(), s.out_width()}, type_of(s.dtype), Tag::nhwc),
        strides{s.stride, s.stride},
        padding_begin{s.padding, s.padding},
        // How far the last output reads past the end; negative where the stride leaves rows of x unread.
        padding_end{(s.out_height() - 1) * s.stride + s.filter_h - s.height - s.padding,
                    (s.out_width() - 1) * s.stride + s.filter_w - s.width - s.padding} {}

  Desc x, w_any, w_krsc, y;
  dnnl::memory::dims strides, padding_begin, padding_end;
};

constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;

#if DNNL_VERSION_MAJOR >= 3

dnnl::convolution_forward::primitive_desc describe_forward(const Geometry& g, dnnl::prop_kind kind) {
  return {engine(), kind,      kAlgorithm,      g.x,           g.w_any,
          g.y,      g.strides, g.padding_begin, g.padding_end, attributes()};
}

template <class Primitive>
typename Primitive::primitive_desc describe_backward(const Geometry& g, const Geometry& forward) {
  return {engine(),        kAlgorithm,    g.x,
          g.w_any,         g.y,           g.strides,
          g.padding_begin, g.padding_end, describe_forward(forward, dnnl::prop_kind::forward_training),
          attributes()};
}

#else

dnnl::convolution_forward::primitive_desc describe_forward(const Geometry& g, dnnl::prop_kind kind) {
  return {{kind, kAlgorithm, g.x, g.w_any, g.y, g.strides, g.padding_begin, g.padding_end},
          attributes(),
          engine()};
}

template <class Primitive>
typename Primitive::primitive_desc describe_backward(const Geometry& g, const Geometry& forward) {
  return {{kAlgorithm, g.x, g.w_any, g.y, g.strides, g.padding_begin, g.padding_end},
          attributes(),
          engine(),
          describe_forward(forward, dnnl::prop_kind::forward_training)};
}

#endif

// A primitive with its memory objects, whose pointers are set before each execution.
class Executable {
 public:
  Executable() = default;
  Executable(dnnl::primitive primitive, std::initializer_list<std::pair<int, Desc>> arguments, Desc scratch)
      : primitive_(std::move(primitive)), scratch_bytes_(scratch.get_size()) {
    for (const auto& [id, desc] : arguments)
      memories_.emplace(id, dnnl::memory(desc, engine(), DNNL_MEMORY_NONE));
    memories_.emplace(DNNL_ARG_SCRATCHPAD, dnnl::memory(scratch, engine(), DNNL_MEMORY_NONE));
  }

  explicit operator bool() const { return static_cast<bool>(primitive_); }
  std::size_t scratch_bytes() const { return scratch_bytes_; }

  // Sets the pointers of the memory objects, which no caller sees; for one thread at a time.
  void execute(std::initializer_list<std::pair<int, const void*>> pointers, void* scratch) const {
    // oneDNN takes non-const pointers, but does not write its inputs.
    for (const auto& [id, pointer] : pointers) memories_.at(id).set_data_handle(const_cast<void*>(pointer));
    memories_.at(DNNL_ARG_SCRATCHPAD).set_data_handle(scratch);
    dnnl::stream stream(engine());
    primitive_.execute(stream, memories_);
    stream.wait();
  }

 private:
  dnnl::primitive primitive_;
  mutable std::unordered_map<int, dnnl::memory> memories_;
  std::size_t scratch_bytes_ = 0;
};

// The primitive, the layout of its filter, and the argument ids of a, b and out (conv2d_pass.h).
struct Convolution {
  Executable executable;
  Desc filter;
  int a, b, out;
  std::string name;
};

template <class PrimitiveDesc>
std::string name_of_implementation(const PrimitiveDesc& desc) {
  return std::string("onednn ") + desc.impl_info_str();
}

// layout: the filter's, if it is given; otherwise oneDNN chooses.
Convolution make_convolution(const Conv2dSpec& spec, Direction direction, DType filter_type,
                             const Desc& layout = {}) {
  Geometry g(spec, filter_type);
  const Geometry forward(spec, spec.dtype);
  if (layout.get_size() > 0) g.w_any = layout;
  switch (direction) {
    case Direction::kForward: {
      const auto desc = describe_forward(
          g, spec.backward ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference);
      return {Executable(dnnl::convolution_forward(desc),
                         {{DNNL_ARG_SRC, g.x}, {DNNL_ARG_WEIGHTS, desc.weights_desc()}, {DNNL_ARG_DST, g.y}},
                         desc.scratchpad_desc()),
              desc.weights_desc(),
              DNNL_ARG_SRC,
              DNNL_ARG_WEIGHTS,
              DNNL_ARG_DST,
              name_of_implementation(desc)};
    }
    case Direction::kBackwardData: {
      const auto desc = describe_backward<dnnl::convolution_backward_data>(g, forward);
      return {
          Executable(
              dnnl::convolution_backward_data(desc),
              {{DNNL_ARG_DIFF_DST, g.y}, {DNNL_ARG_WEIGHTS, desc.weights_desc()}, {DNNL_ARG_DIFF_SRC, g.x}},
              desc.scratchpad_desc()),
          desc.weights_desc(),
          DNNL_ARG_DIFF_DST,
          DNNL_ARG_WEIGHTS,
          DNNL_ARG_DIFF_SRC,
          name_of_implementation(desc)};
    }
    case Direction::kBackwardFilter: {
      const auto desc = describe_backward<dnnl::convolution_backward_weights>(g, forward);
      return {Executable(dnnl::convolution_backward_weights(desc),
                         {{DNNL_ARG_SRC, g.x},
                          {DNNL_ARG_DIFF_DST, g.y},
                          {DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc()}},
                         desc.scratchpad_desc()),
              desc.diff_weights_desc(),
              DNNL_ARG_SRC,
              DNNL_ARG_DIFF_DST,
              DNNL_ARG_DIFF_WEIGHTS,
              name_of_implementation(desc)};
    }
  }
  throw Error("onednn: unknown direction");
}

Executable make_reorder(const Desc& from, const Desc& to) {
  if (from == to) return {};
  const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, attributes());
  return {dnnl::reorder(desc), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, desc.scratchpad_desc()};
}

// to[i] += from[i]
template <class T>
void add(const void* from, void* to, std::size_t n) {
  const auto* added = static_cast<const T*>(from);
  auto* const sum = static_cast<T*>(to);
#pragma omp parallel for simd num_threads(threads_for(static_cast <std::int64_t>(2 * n)))
  for (std::size_t i = 0; i < n; ++i) sum[i] = from_float<T>(to_float(sum[i]) + to_float(added[i]));
}

void add_to(DType type, const void* from, void* to, std::size_t bytes) {
  (type == DType::kBf16 ? add<bf16_t> : add<float>)(from, to, bytes / element_size(type));
}

class DirectPass final : public Conv2dPass {
 public:
  DirectPass(const Conv2dSpec& spec, Direction direction, DType filter_type)
      : direction_(direction),
        dtype_(spec.dtype),
        convolution_(make_convolution(spec, direction, filter_type)) {
    const Desc krsc = Geometry(spec, filter_type).w_krsc;
    reorder_ = direction == Direction::kBackwardFilter ? make_reorder(convolution_.filter, krsc)
                                                       : make_reorder(krsc, convolution_.filter);
    filter_bytes_ = reorder_ ? round_up(convolution_.filter.get_size(), 256) : 0;
    scratch_bytes_ =
        round_up(std::max(convolution_.executable.scratch_bytes(), reorder_.scratch_bytes()), 256);
    // oneDNN cannot accumulate into its output, so the gradient goes to the workspace and is added from
    // there.
    if (direction == Direction::kBackwardData) sum_bytes_ = spec.batch * x_image_bytes(spec);
  }

  std::size_t workspace_bytes() const override { return filter_bytes_ + scratch_bytes_ + sum_bytes_; }
  std::string name() const override { return convolution_.name; }

  void run(const void* a, const void* b, void* out, bool accumulate, void* workspace) const override {
    auto* const filter = static_cast<std::byte*>(workspace);
    auto* const scratch = filter + filter_bytes_;
    std::byte* const sum = scratch + scratch_bytes_;
    const bool filter_is_output = direction_ == Direction::kBackwardFilter;

    const void* second = b;
    void* result = accumulate ? sum : out;
    if (reorder_ && filter_is_output) result = filter;
    if (reorder_ && !filter_is_output) {
      reorder_.execute({{DNNL_ARG_FROM, b}, {DNNL_ARG_TO, filter}}, scratch);
      second = filter;
    }
    convolution_.executable.execute(
        {{convolution_.a, a}, {convolution_.b, second}, {convolution_.out, result}}, scratch);
    if (reorder_ && filter_is_output)
      reorder_.execute({{DNNL_ARG_FROM, filter}, {DNNL_ARG_TO, out}}, scratch);
    if (accumulate) add_to(dtype_, sum, out, sum_bytes_);
  }

 private:
  Direction direction_;
  DType dtype_;
  Convolution convolution_;
  Executable reorder_;
  std::size_t filter_bytes_ = 0, scratch_bytes_ = 0, sum_bytes_ = 0;
};

constexpr std::int32_t kMaxParts = 32;

// The data gradient where stride > 1. oneDNN's own division of it among threads changes the last bits (3.7:
// 3x3, 16 -> 32 channels, 18 images, 4 threads with AVX-512, and 25 images, 2 threads with AVX2; 2.6: 7x7
// filters on 3 channels).
class StridedDataPass final : public Conv2dPass {
 public:
  explicit StridedDataPass(const Conv2dSpec& spec)
      : spec_(spec),
        parts_(spec, std::min(spec.batch, kMaxParts),
               [layout = Desc()](const Conv2dSpec& images) mutable {
                 Convolution part = make_convolution(images, Direction::kBackwardData, images.dtype, layout);
                 layout = part.filter;  // the first part's serves all
                 return part;
               }),
        reorder_(make_reorder(Geometry(spec, spec.dtype).w_krsc, parts_[0].filter)),
        filter_bytes_(reorder_ ? round_up(parts_[0].filter.get_size(), 256) : 0),
        reorder_bytes_(round_up(reorder_.scratch_bytes(), 256)),
        part_bytes_(parts_.largest([](const Convolution& part) { return part.executable.scratch_bytes(); })) {
  }

  std::size_t workspace_bytes() const override {
    return filter_bytes_ + std::max(reorder_bytes_, parts_.count() * part_bytes_) + sum_bytes();
  }
  std::string name() const override { return parts_[0].name + " in parts"; }

  void run(const void* a, const void* b, void* out, bool accumulate, void* workspace) const override {
    auto* const filter = static_cast<std::byte*>(workspace);
    std::byte* const scratch = filter + filter_bytes_;
    std::byte* const sum = static_cast<std::byte*>(workspace) + workspace_bytes() - sum_bytes();
    if (reorder_) reorder_.execute({{DNNL_ARG_FROM, b}, {DNNL_ARG_TO, filter}}, scratch);
    parts_.run([&](std::size_t i, std::size_t image) {
      const Convolution& part = parts_[i];
      auto* const to = accumulate ? sum : static_cast<std::byte*>(out);
      part.executable.execute({{part.a, static_cast<const std::byte*>(a) + image * y_image_bytes(spec_)},
                               {part.b, reorder_ ? filter : b},
                               {part.out, to + image * x_image_bytes(spec_)}},
                              scratch + i * part_bytes_);
    });
    if (accumulate) add_to(spec_.dtype, sum, out, sum_bytes());
  }

 private:
  std::size_t sum_bytes() const { return spec_.batch * x_image_bytes(spec_); }

  Conv2dSpec spec_;
  BatchParts<Convolution> parts_;
  Executable reorder_;
  std::size_t filter_bytes_, reorder_bytes_, part_bytes_;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_direct_pass(const Conv2dSpec& spec, Direction direction, DType filter_type) {
  try {
    if (spec.stride > 1 && direction == Direction::kBackwardData)
      return std::make_unique<StridedDataPass>(spec);
    return std::make_unique<DirectPass>(spec, direction, filter_type);
  } catch (const dnnl::error& error) {
    throw Error(
        fmt::format("oneDNN does not support the {} convolution {}x{}x{}x{} -> {} channels, filter {}x{}: {}",
                    to_string(spec.dtype), spec.batch, spec.height, spec.width, spec.channels,
                    spec.out_channels, spec.filter_h, spec.filter_w, error.what()));
  }
}

}  // namespace tdds::cpu::onednn
