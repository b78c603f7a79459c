#include "bench/op_shape.h"

#include <fmt/format.h>

#include "kernels/ops/accumulate.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/feature_norm.h"
#include "kernels/ops/head.h"
#include "kernels/ops/linear.h"
#include "kernels/ops/max_pool.h"
#include "kernels/ops/pool.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/sort.h"

namespace tdds {
namespace {

std::string word(const char* name, std::int64_t value) {
  return fmt::format("{}={}", name, value);
}
std::string word(const char* name, DType type) {
  return fmt::format("{}={}", name, to_string(type));
}
template <class Value, class... Rest>
std::string words(const char* name, Value value, Rest... rest) {
  if constexpr (sizeof...(rest) == 0)
    return word(name, value);
  else
    return word(name, value) + " " + words(rest...);
}

std::string text(const Conv2dCall& call) {
  const Conv2dSpec& s = call.spec;
  return words("batch", s.batch, "height", s.height, "width", s.width, "channels", s.channels, "out_channels",
               s.out_channels, "filter_h", s.filter_h, "filter_w", s.filter_w, "stride", s.stride, "padding",
               s.padding, "dtype", s.dtype);
}
std::string text(const LinearSpec& s) {
  return words("batch", s.batch, "features", s.in_features, "classes", s.out_features);
}

template <class Args>
std::string batchnorm_text(const Args& a, const void* residual) {
  return words("rows", a.rows, "channels", a.channels, "relu", a.relu, "residual", residual != nullptr,
               "dtype", a.dtype);
}
std::string text(const BatchNormForwardArgs& a) {
  return batchnorm_text(a, a.residual);
}
std::string text(const BatchNormBackwardArgs& a) {
  return batchnorm_text(a, a.dresidual);
}
std::string text(const BatchNormInferenceArgs& a) {
  return batchnorm_text(a, a.residual);
}

std::string text(const AddArgs& a) {
  return words("n", a.n, "dtype", a.dtype);
}
std::string text(const ReluArgs& a) {
  return words("n", a.n, "dtype", a.dtype);
}
std::string text(const ReluBackwardArgs& a) {
  return words("n", a.n, "dtype", a.dtype);
}
std::string text(const AccumulateArgs& a) {
  return words("n", a.n, "first", a.first, "dtype", a.dtype);
}

std::string text(const MaxPoolShape& s) {
  return words("batch", s.batch, "height", s.height, "width", s.width, "channels", s.channels, "window",
               s.window, "stride", s.stride, "padding", s.padding, "dtype", s.dtype);
}
std::string text(const MaxPoolArgs& a) {
  return text(a.shape);
}
std::string text(const MaxPoolBackwardArgs& a) {
  return text(a.shape);
}

template <class Args>
std::string pool_text(const Args& a) {
  return words("batch", a.batch, "positions", a.positions, "channels", a.channels, "dtype", a.dtype);
}
std::string text(const GlobalAvgPoolArgs& a) {
  return pool_text(a);
}
std::string text(const GlobalAvgPoolBackwardArgs& a) {
  return pool_text(a);
}

std::string text(const HeadShape& s) {
  return words("batch", s.batch, "positions", s.positions, "features", s.features, "classes", s.classes,
               "dtype", s.dtype);
}
std::string text(const HeadForwardArgs& a) {
  return text(a.shape) + " " + word("loss", a.loss.logits != nullptr);
}
std::string text(const HeadBackwardArgs& a) {
  return text(a.shape);
}

std::string text(const SoftmaxKlArgs& a) {
  return words("batch", a.batch, "classes", a.classes);
}
std::string text(const FeatureNormArgs& a) {
  return words("batch", a.batch, "features", a.width);
}
std::string text(const SortArgs& a) {
  return words("n", a.n);
}
std::string text(const SgdArgs& a) {
  return words("n", a.n, "more", a.more.n, "compute", a.compute != nullptr, "dtype", a.gradient_dtype);
}
std::string text(const CheckFiniteArgs& a) {
  return words("n", a.n, "more", a.more_n, "dtype", a.dtype);
}

// The text of the one type that the arguments have.
template <class... Types>
std::string text_of_one(const std::any& args) {
  std::string found;
  const auto attempt = [&](const auto* typed) {
    if (typed) found = text(*typed);
  };
  (attempt(std::any_cast<Types>(&args)), ...);
  return found;
}

}  // namespace

std::string op_shape(const OpWork& work) {
  return text_of_one<Conv2dCall, LinearSpec, BatchNormForwardArgs, BatchNormBackwardArgs,
                     BatchNormInferenceArgs, AddArgs, ReluArgs, ReluBackwardArgs, AccumulateArgs, MaxPoolArgs,
                     MaxPoolBackwardArgs, GlobalAvgPoolArgs, GlobalAvgPoolBackwardArgs, HeadForwardArgs,
                     HeadBackwardArgs, SoftmaxKlArgs, FeatureNormArgs, SortArgs, SgdArgs, CheckFiniteArgs>(
      work.args);
}

}  // namespace tdds
