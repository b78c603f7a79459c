#include "engine/layer.h"

#include "kernels/ops/batchnorm.h"

namespace tdds {
namespace {

std::string layer_name(const PassContext& context, int parameter) {
  const std::string& name = context.params.list()[static_cast<std::size_t>(parameter)].name;
  return name.substr(0, name.rfind('.'));
}

}  // namespace

ConvDecl ConvDecl::declare(Params& params, const std::string& name, std::int32_t channels,
                           std::int32_t out_channels, std::int32_t size, std::int32_t stride,
                           std::int32_t stored_channels) {
  const std::int32_t stored = stored_channels ? stored_channels : channels;
  return {.filter = params.add_filter(name + ".weight", out_channels, channels, size, stored),
          .channels = stored,
          .out_channels = out_channels,
          .size = size,
          .stride = stride,
          .padding = size / 2};
}

ConvLayer::ConvLayer(PassContext& context, const ConvDecl& decl, std::int32_t height, std::int32_t width)
    : context_(context), filter_(decl.filter), name_(layer_name(context, decl.filter)) {
  plan_ = make_conv2d(context.device, {.batch = context.batch,
                                       .height = height,
                                       .width = width,
                                       .channels = decl.channels,
                                       .out_channels = decl.out_channels,
                                       .filter_h = decl.size,
                                       .filter_w = decl.size,
                                       .stride = decl.stride,
                                       .padding = decl.padding,
                                       .dtype = context.compute,
                                       .backward = context.train,
                                       .math = context.math,
                                       .algo = context.algo,
                                       .data_gradient = decl.data_gradient,
                                       .full_batch = context.full_batch});
  context.workspace_bytes = std::max(context.workspace_bytes, plan_->workspace_bytes());
  context.branch_workspace_bytes = std::max(context.branch_workspace_bytes, plan_->filter_workspace_bytes());
}

std::size_t ConvLayer::x_bytes() const {
  const Conv2dSpec& spec = plan_->spec();
  return std::size_t(spec.batch) * spec.height * spec.width * spec.channels * element_size(spec.dtype);
}
std::size_t ConvLayer::y_bytes() const {
  return y_rows() * y_channels() * element_size(plan_->spec().dtype);
}

BatchNormPartials ConvLayer::forward(Stream& stream, const void* x, const BatchNormLayer& next) {
  const StreamRange range(stream, name_);
  const void* const w = context_.params.filter(filter_);
  if (!context_.train || plan_->moment_rows() == 0) {
    plan_->forward(stream, x, w, y_, context_.workspace);
    return {};
  }
  const BatchNormMemory memory = next.moment_memory();
  plan_->forward_with_moments(stream, x, w, y_, memory);
  return {static_cast<const float*>(memory.workspace), plan_->moment_rows()};
}

BatchNormPartials ConvLayer::backward_data(Stream& stream, const void* dy, void* dx, bool accumulate,
                                           const BatchNormLayer* previous) {
  const StreamRange range(stream, name_);
  const void* const w = context_.params.filter(filter_);
  if (!previous || plan_->gradient_rows(accumulate) == 0) {
    plan_->backward_data(stream, dy, w, dx, accumulate, context_.workspace);
    return {};
  }
  const BatchNormGradient norm = previous->gradient();
  plan_->backward_data_to_norm(stream, dy, w, accumulate ? dx : nullptr, dx, norm);
  return {static_cast<const float*>(norm.memory.workspace), plan_->gradient_rows(accumulate)};
}

Stream::Fork ConvLayer::backward_filter(Stream& stream, const void* x, const void* dy) {
  const StreamRange range(stream, name_);
  return stream.fork([&] {
    plan_->backward_filter(stream, x, dy, context_.params.filter_gradient(filter_),
                           context_.branch_workspace);
  });
}

ConvolutionPlan ConvLayer::plan() const {
  const Conv2dSpec& spec = plan_->spec();
  return {fmt::format("{} {}x{}x{} -> {} {}x{}/{}", name_, spec.height, spec.width, spec.channels,
                      spec.out_channels, spec.filter_h, spec.filter_w, spec.stride),
          plan_->served()};
}

std::string to_string(const std::vector<ConvolutionPlan>& plans) {
  std::string text;
  for (const auto& [layer, served] : plans) text += fmt::format("{}: {}\n", layer, to_string(served));
  return text;
}

BatchNormDecl BatchNormDecl::declare(Params& params, const std::string& name, std::int32_t channels) {
  return {.weight = params.add_vector(name + ".weight", channels, 1.0f),
          .bias = params.add_vector(name + ".bias", channels, 0.0f),
          .running_mean = params.add_running(name + ".running_mean", channels, 0.0f),
          .running_var = params.add_running(name + ".running_var", channels, 1.0f),
          .batches_tracked = params.add_counter(name + ".num_batches_tracked"),
          .channels = channels};
}

BatchNormLayer::BatchNormLayer(PassContext& context, const BatchNormDecl& decl, std::int64_t rows, bool relu,
                               bool residual)
    : context_(context),
      decl_(decl),
      name_(layer_name(context, decl.weight)),
      rows_(rows),
      relu_(relu),
      residual_(residual) {
  const std::int64_t all_rows = context.whole.exchange ? rows / context.batch * context.whole.images : rows;
  check_usage(!context.train || all_rows >= 2,
              "a batch of {} image leaves {} a single value per channel, and batch norm cannot be trained on "
              "that; choose a `batch_size` (with `accumulate`: its part) that leaves no last batch of 1",
              context.batch, name_);
  context.workspace_bytes = std::max(context.workspace_bytes, batchnorm_workspace_bytes(rows, decl.channels));
  if (!context.train) return;
  first_ticket_ = context.ticket_count;
  context.ticket_count += 2 * batchnorm_tickets(decl.channels);  // forward, backward
}

void BatchNormLayer::bind(Arena& saved, void* x) {
  x_ = x;
  y_ = x;
  if (!context_.train) return;
  y_ = saved.take(rows_ * decl_.channels * element_size(context_.compute));
  mean_ = saved.take_array<float>(decl_.channels);
  inv_std_ = saved.take_array<float>(decl_.channels);
  if (relu_ && residual_)
    mask_ = saved.take_array<std::uint8_t>(batchnorm_mask_bytes(rows_, decl_.channels, context_.compute));
}

void BatchNormLayer::forward(Stream& stream, const void* residual, const BatchNormPartials& moments) {
  const StreamRange range(stream, name_);
  const Params& params = context_.params;
  check((residual != nullptr) == residual_, "{}: a residual was {}", name_, residual_ ? "missing" : "given");
  if (!context_.train) {
    batchnorm_inference(stream, {.x = x_,
                                 .residual = residual,
                                 .weight = params.vector(decl_.weight),
                                 .bias = params.vector(decl_.bias),
                                 .running_mean = params.running(decl_.running_mean),
                                 .running_var = params.running(decl_.running_var),
                                 .y = y_,
                                 .rows = rows_,
                                 .channels = decl_.channels,
                                 .eps = kEps,
                                 .dtype = context_.compute,
                                 .relu = relu_});
    return;
  }
  BatchNormForwardArgs args{.x = x_,
                            .residual = residual,
                            .weight = params.vector(decl_.weight),
                            .bias = params.vector(decl_.bias),
                            .running_mean = params.running(decl_.running_mean),
                            .running_var = params.running(decl_.running_var),
                            .batches_tracked = params.counter(decl_.batches_tracked),
                            .mean = mean_,
                            .inv_std = inv_std_,
                            .y = y_,
                            .rows = rows_,
                            .channels = decl_.channels,
                            .eps = kEps,
                            .momentum = kMomentum,
                            .dtype = context_.compute,
                            .relu = relu_,
                            .workspace = context_.workspace,
                            .mask = mask_,
                            .tickets = context_.tickets + first_ticket_,
                            .partials = moments};
  if (StatisticsExchange* const exchange = context_.whole.exchange) {
    batchnorm_moments(stream, {.forward = args, .moments = exchange->mine(decl_.channels)});
    args.partials = gather(stream);
  }
  batchnorm_forward(stream, args);
}

BatchNormPartials BatchNormLayer::gather(Stream& stream) const {
  const WholeBatch& whole = context_.whole;
  return whole.exchange->gather(stream, decl_.channels, whole.images, rows_ / context_.batch);
}

BatchNormMemory BatchNormLayer::moment_memory() const {
  return memory(first_ticket_);
}
BatchNormMemory BatchNormLayer::memory(std::size_t ticket) const {
  return {.workspace = context_.workspace, .tickets = context_.tickets + ticket};
}

BatchNormGradient BatchNormLayer::gradient() const {
  check(relu_, "{}: its g is the gradient itself, as there is no ReLU", name_);
  const Params& params = context_.params;
  return {.x = x_,
          .weight = params.vector(decl_.weight),
          .bias = params.vector(decl_.bias),
          .mean = mean_,
          .inv_std = inv_std_,
          .mask = mask_,
          .memory = memory(first_ticket_ + batchnorm_tickets(decl_.channels))};
}

void BatchNormLayer::backward(Stream& stream, const void* dy, void* dx, void* dresidual,
                              const BatchNormPartials& sums) {
  const StreamRange range(stream, name_);
  const Params& params = context_.params;
  const bool is_g = sums.groups != nullptr;
  check(!is_g || !dresidual || dresidual == dy, "{}: g is given and not copied to dresidual", name_);
  BatchNormBackwardArgs args{.x = x_,
                             .y = y_,
                             .dy = dy,
                             .weight = params.vector(decl_.weight),
                             .bias = params.vector(decl_.bias),
                             .mean = mean_,
                             .inv_std = inv_std_,
                             .dweight = params.vector_gradient(decl_.weight),
                             .dbias = params.vector_gradient(decl_.bias),
                             .dx = dx,
                             .dresidual = is_g ? nullptr : dresidual,
                             .rows = rows_,
                             .channels = decl_.channels,
                             .dtype = context_.compute,
                             .relu = relu_ && !is_g,
                             .workspace = context_.workspace,
                             .mask = mask_,
                             .tickets = context_.tickets + first_ticket_ + batchnorm_tickets(decl_.channels),
                             .partials = sums};
  if (StatisticsExchange* const exchange = context_.whole.exchange) {
    batchnorm_sums(stream, {.backward = args, .sums = exchange->mine(decl_.channels)});
    args.partials = gather(stream);
  }
  batchnorm_backward(stream, args);
}

MaxPoolLayer::MaxPoolLayer(PassContext& context, std::int32_t height, std::int32_t width,
                           std::int32_t channels)
    : context_(context),
      shape_{.batch = context.batch,
             .height = height,
             .width = width,
             .channels = channels,
             .window = 3,
             .stride = 2,
             .padding = 1,
             .dtype = context.compute} {}

void MaxPoolLayer::bind(Arena& saved) {
  y_ = saved.take(shape_.outputs() * element_size(shape_.dtype));
  if (context_.train) argmax_ = saved.take_array<std::uint8_t>(shape_.outputs());
}

void MaxPoolLayer::forward(Stream& stream, const void* x) {
  const StreamRange range(stream, "maxpool");
  max_pool(stream, {.x = x, .y = y_, .argmax = argmax_, .shape = shape_});
}

void MaxPoolLayer::backward(Stream& stream, const void* dy, void* dx) {
  const StreamRange range(stream, "maxpool");
  max_pool_backward(stream, {.dy = dy, .argmax = argmax_, .dx = dx, .shape = shape_});
}

HeadDecl HeadDecl::declare(Params& params, const std::string& name, std::int32_t features,
                           std::int32_t classes) {
  return {.weight = params.add_linear_weight(name + ".weight", classes, features),
          .bias = params.add_linear_bias(name + ".bias", classes, features),
          .features = features,
          .classes = classes};
}

HeadLayer::HeadLayer(PassContext& context, const HeadDecl& decl, std::int32_t positions)
    : context_(context),
      decl_(decl),
      name_(layer_name(context, decl.weight)),
      shape_{.batch = context.batch,
             .positions = positions,
             .features = decl.features,
             .classes = decl.classes,
             .dtype = context.compute} {}

void HeadLayer::bind(Arena& saved) {
  const std::size_t features = std::size_t(context_.batch) * decl_.features;
  const std::size_t logits = std::size_t(context_.batch) * decl_.classes;
  features_ = saved.take_array<float>(features);
  logits_ = saved.take_array<float>(logits);
  if (!context_.train) return;
  dfeatures_ = saved.take_array<float>(features);
  dlogits_ = saved.take_array<float>(logits);
}

void HeadLayer::forward(Stream& stream, const void* x, const SoftmaxKlArgs* loss, float* feature_norm) {
  const StreamRange range(stream, name_);
  HeadForwardArgs args{.x = x,
                       .w = context_.params.vector(decl_.weight),
                       .bias = context_.params.vector(decl_.bias),
                       .features = features_,
                       .logits = logits_,
                       .shape = shape_,
                       .feature_norm = feature_norm};
  if (loss) {
    args.loss = *loss;
    args.loss.logits = logits_;
    args.loss.dlogits = dlogits_;
  }
  head_forward(stream, args);
}

void HeadLayer::backward(Stream& stream, void* dx) {
  const StreamRange range(stream, name_);
  head_backward(stream, {.features = features_,
                         .w = context_.params.vector(decl_.weight),
                         .dlogits = dlogits_,
                         .dx = dx,
                         .dw = context_.params.vector_gradient(decl_.weight),
                         .db = context_.params.vector_gradient(decl_.bias),
                         .dfeatures = dfeatures_,
                         .shape = shape_});
}

}  // namespace tdds
