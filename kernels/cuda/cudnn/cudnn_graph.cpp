#include "kernels/cuda/cudnn/cudnn_graph.h"

#include <algorithm>
#include <set>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

enum : std::int64_t { kUidX = 'x', kUidW = 'w', kUidY = 'y' };
constexpr std::int64_t kByteAlignment = 16;  // slices of arenas and parameters are aligned to at least 256

CudnnDescriptor create(cudnnBackendDescriptorType_t type) {
  CudnnDescriptor descriptor;
  CHECK_CUDA(cudnnBackendCreateDescriptor(type, out(descriptor)));
  return descriptor;
}

template <class T>
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
         cudnnBackendAttributeType_t type, const T* values, std::int64_t count) {
  CHECK_CUDA(cudnnBackendSetAttribute(descriptor.get(), name, type, count, values));
}
template <class T>
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
         cudnnBackendAttributeType_t type, const T& value) {
  set(descriptor, name, type, &value, 1);
}
void set_child(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
               cudnnBackendDescriptor_t child) {
  set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, child);
}

// The number of values of an attribute; 0 where it is not set.
std::int64_t count_of(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                      cudnnBackendAttributeType_t type) {
  std::int64_t count = 0;
  CHECK_CUDA(cudnnBackendGetAttribute(descriptor, name, type, 0, &count, nullptr));
  return count;
}

template <class T>
std::vector<T> get_all(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                       cudnnBackendAttributeType_t type) {
  std::vector<T> values(count_of(descriptor, name, type));
  std::int64_t count = 0;
  if (!values.empty())
    CHECK_CUDA(cudnnBackendGetAttribute(descriptor, name, type, values.size(), &count, values.data()));
  values.resize(std::min<std::size_t>(values.size(), count));
  return values;
}

template <class T>
T get_one(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
          cudnnBackendAttributeType_t type) {
  T value{};
  std::int64_t count = 0;
  CHECK_CUDA(cudnnBackendGetAttribute(descriptor, name, type, 1, &count, &value));
  check(count == 1, "cuDNN gave {} values for attribute {} instead of one", count, static_cast<int>(name));
  return value;
}

// Returns at most `most` children. cuDNN fills descriptors that the caller has created.
std::vector<CudnnDescriptor> get_children(cudnnBackendDescriptor_t descriptor,
                                          cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                          std::int64_t most) {
  std::vector<CudnnDescriptor> children(most);
  std::vector<cudnnBackendDescriptor_t> raw;
  for (CudnnDescriptor& child : children) {
    child = create(type);
    raw.push_back(child.get());
  }
  std::int64_t count = 0;
  CHECK_CUDA(
      cudnnBackendGetAttribute(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, raw.data()));
  children.resize(std::min(count, most));
  return children;
}

cudnnDataType_t cudnn_type(DType type) {
  switch (type) {
    case DType::kF32:
      return CUDNN_DATA_FLOAT;
    case DType::kF16:
      return CUDNN_DATA_HALF;
    case DType::kBf16:
      return CUDNN_DATA_BFLOAT16;
    default:
      throw Error(fmt::format("cuDNN convolutions support f32, f16 and bf16, not {}", to_string(type)));
  }
}

CudnnDescriptor make_tensor(std::int64_t uid, DType type, const CudnnLayout& layout) {
  CudnnDescriptor tensor = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  set(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, uid);
  set(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, cudnn_type(type));
  set(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kByteAlignment);
  set(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, layout.sizes, 4);
  set(tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, layout.strides, 4);
  CHECK_CUDA(cudnnBackendFinalize(tensor.get()));
  return tensor;
}

CudnnDescriptor make_convolution(const Conv2dSpec& spec) {
  const std::int64_t stride[2] = {spec.stride, spec.stride}, padding[2] = {spec.padding, spec.padding};
  const std::int64_t dilation[2] = {1, 1}, spatial_dims = 2;
  CudnnDescriptor convolution = create(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  set(convolution, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, spatial_dims);
  set(convolution, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  // The value 0 is CUDNN_CONVOLUTION, which flips the filter.
  set(convolution, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  set(convolution, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, stride, 2);
  set(convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, padding, 2);
  set(convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, padding, 2);
  set(convolution, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dilation, 2);
  CHECK_CUDA(cudnnBackendFinalize(convolution.get()));
  return convolution;
}

// The attribute names of one direction's operation.
struct OperationNames {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};
OperationNames operation_names(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::kForward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case ConvDirection::kData:
    case ConvDirection::kDataAccumulate:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvDirection::kFilter:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
  throw Error("operation_names: unknown direction");
}

// A graph of one operation. cuDNN counts references to the children once they are set.
CudnnDescriptor make_graph(const Conv2dSpec& spec, ConvDirection direction, const CudnnTarget& target) {
  const OperationNames names = operation_names(direction);
  const CudnnDescriptor x =
      make_tensor(kUidX, spec.dtype, channels_last(spec.batch, spec.channels, spec.height, spec.width));
  const CudnnDescriptor w = make_tensor(
      kUidW, spec.dtype, channels_last(spec.out_channels, spec.channels, spec.filter_h, spec.filter_w));
  const CudnnDescriptor y = make_tensor(
      kUidY, spec.dtype, channels_last(spec.batch, spec.out_channels, spec.out_height(), spec.out_width()));
  const CudnnDescriptor convolution = make_convolution(spec);
  const float alpha = 1, beta = direction == ConvDirection::kDataAccumulate ? 1 : 0;

  CudnnDescriptor operation = create(names.operation);
  set_child(operation, names.convolution, convolution.get());
  set_child(operation, names.x, x.get());
  set_child(operation, names.w, w.get());
  set_child(operation, names.y, y.get());
  set(operation, names.alpha, CUDNN_TYPE_FLOAT, alpha);
  set(operation, names.beta, CUDNN_TYPE_FLOAT, beta);
  CHECK_CUDA(cudnnBackendFinalize(operation.get()));

  CudnnDescriptor graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set_child(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, operation.get());
  // With a handle the plan is for the present GPU; a plan for a described GPU has none (cuDNN 9.8).
  if (target.handle()) set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, target.handle());
  CHECK_CUDA(cudnnBackendFinalize(graph.get()));
  return graph;
}

// An unsupported graph or engine is not a failure: another engine may support it.
bool not_supported(cudnnStatus_t status) {
  return status / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000;
}

// Why there is no plan: the last real failure, or else the last "not supported".
class Reason {
 public:
  void add(cudnnStatus_t status) {
    if (error_ && not_supported(status)) return;
    error_ = !not_supported(status);
    text_ = cudnn_error_text(status);
  }
  const std::string& text() const { return text_; }

 private:
  bool error_ = false;
  std::string text_;
};

// Empty where this heuristic does not support the graph.
std::vector<CudnnDescriptor> heuristic_configs(const CudnnDescriptor& graph, const CudnnTarget& target,
                                               cudnnBackendHeurMode_t mode, Reason& reason) {
  const CudnnDescriptor heuristic = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  set_child(heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.get());
  set(heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  if (target.properties()) set_child(heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, target.properties());
  const cudnnStatus_t status = cudnnBackendFinalize(heuristic.get());
  if (not_supported(status)) {
    reason.add(status);
    return {};
  }
  check_cuda_status(status, "cudnnBackendFinalize(heuristic)", __FILE__, __LINE__);
  const std::int64_t count =
      count_of(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR);
  return get_children(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                      count);
}

struct Engine {
  std::int64_t index;
  std::vector<cudnnBackendNumericalNote_t> notes;
  std::vector<cudnnBackendBehaviorNote_t> behavior;
};

Engine engine_of(const CudnnDescriptor& config) {
  const CudnnDescriptor engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  std::int64_t count = 0;
  CHECK_CUDA(cudnnBackendGetAttribute(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw));
  return {
      get_one<std::int64_t>(raw, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64),
      get_all<cudnnBackendNumericalNote_t>(raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE),
      get_all<cudnnBackendBehaviorNote_t>(raw, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE)};
}

bool acceptable(const Engine& engine, const Conv2dSpec& spec) {
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(engine.notes.begin(), engine.notes.end(), note) != engine.notes.end();
  };
  if (has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) || has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) ||
      has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION))
    return false;
  // Their transforms amplify the values and then cancel: 10 or 8 bits of mantissa are too few for that.
  if (spec.dtype != DType::kF32 && (has(CUDNN_NUMERICAL_NOTE_WINOGRAD) || has(CUDNN_NUMERICAL_NOTE_FFT)))
    return false;
  return spec.dtype != DType::kF32 || spec.math == Conv2dMath::kTf32 ||
         !has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

std::vector<std::pair<std::int64_t, std::int64_t>> knobs_of(const CudnnDescriptor& config) {
  std::vector<std::pair<std::int64_t, std::int64_t>> knobs;
  // The count of this attribute cannot be queried: cuDNN reports 0.
  for (const CudnnDescriptor& knob :
       get_children(config.get(), CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR,
                    CUDNN_KNOB_TYPE_COUNTS))
    knobs.emplace_back(
        get_one<cudnnBackendKnobType_t>(knob.get(), CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE),
        get_one<std::int64_t>(knob.get(), CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64));
  return knobs;
}

// Returns CUDNN_STATUS_NOT_SUPPORTED where the engine does not support this graph after all.
cudnnStatus_t finalize_plan(const CudnnDescriptor& config, const Engine& engine, const CudnnTarget& target,
                            ConvPlan& plan) {
  plan.descriptor = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set_child(plan.descriptor, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config.get());
  if (target.handle())
    set(plan.descriptor, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, target.handle());
  else
    set_child(plan.descriptor, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, target.properties());
  const cudnnStatus_t status = cudnnBackendFinalize(plan.descriptor.get());
  if (status != CUDNN_STATUS_SUCCESS) return status;
  plan.notes = engine.notes;
  plan.runtime_compiled = std::find(engine.behavior.begin(), engine.behavior.end(),
                                    CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) != engine.behavior.end();
  plan.workspace_bytes = get_one<std::int64_t>(plan.descriptor.get(),
                                               CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64);
  return status;
}

}  // namespace

CudnnTarget CudnnTarget::present(cudnnHandle_t handle) {
  CudnnTarget target;
  target.handle_ = handle;
  return target;
}

CudnnTarget CudnnTarget::offline(const std::string& json) {
  CudnnTarget target;
  target.properties_ = create(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  // With the terminating zero, like cuDNN's own serialisation.
  set(target.properties_, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, json.c_str(),
      static_cast<std::int64_t>(json.size() + 1));
  CHECK_CUDA(cudnnBackendFinalize(target.properties_.get()));
  return target;
}

CudnnLayout channels_last(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  return {{n, c, h, w}, {h * w * c, 1, w * c, c}};
}

std::string visit_plans(const Conv2dSpec& spec, ConvDirection direction, const CudnnTarget& target,
                        std::span<const cudnnBackendHeurMode_t> heuristics,
                        const std::function<bool(ConvPlan)>& take) {
  const CudnnDescriptor graph = make_graph(spec, direction, target);
  std::set<std::string> seen;
  Reason failures;
  for (const cudnnBackendHeurMode_t mode : heuristics)
    for (const CudnnDescriptor& config : heuristic_configs(graph, target, mode, failures)) {
      const Engine engine = engine_of(config);
      if (!acceptable(engine, spec)) continue;
      ConvPlan plan;
      plan.choice = {engine.index, knobs_of(config)};
      if (!seen.insert(plan.choice.text()).second) continue;
      const cudnnStatus_t status = finalize_plan(config, engine, target, plan);
      if (status != CUDNN_STATUS_SUCCESS)
        failures.add(status);
      else if (!take(std::move(plan)))
        return failures.text();
    }
  return failures.text();
}

std::vector<ConvPlan> propose_plans(const Conv2dSpec& spec, ConvDirection direction,
                                    const CudnnTarget& target, std::size_t limit, std::string* reason) {
  std::vector<ConvPlan> plans;
  const std::string failure = visit_plans(spec, direction, target, kFewPlans, [&](ConvPlan plan) {
    plans.push_back(std::move(plan));
    return plans.size() < limit;
  });
  if (reason) *reason = failure;
  return plans;
}

ConvPlan rebuild_plan(const Conv2dSpec& spec, ConvDirection direction, const CudnnTarget& target,
                      const ConvPlanChoice& choice) {
  const CudnnDescriptor graph = make_graph(spec, direction, target);
  const CudnnDescriptor engine = create(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  set_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph.get());
  set(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, choice.engine);
  if (target.properties()) set_child(engine, CUDNN_ATTR_ENGINE_DEVICEPROP, target.properties());
  CHECK_CUDA(cudnnBackendFinalize(engine.get()));

  std::vector<CudnnDescriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const auto& [type, value] : choice.knobs) {
    knobs.push_back(create(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
    set(knobs.back(), CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE,
        static_cast<cudnnBackendKnobType_t>(type));
    set(knobs.back(), CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, value);
    CHECK_CUDA(cudnnBackendFinalize(knobs.back().get()));
    raw.push_back(knobs.back().get());
  }
  const CudnnDescriptor config = create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  set_child(config, CUDNN_ATTR_ENGINECFG_ENGINE, engine.get());
  if (!raw.empty())
    set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(),
        static_cast<std::int64_t>(raw.size()));
  CHECK_CUDA(cudnnBackendFinalize(config.get()));

  const Engine facts = engine_of(config);
  check(acceptable(facts, spec), "the saved plan {} is not allowed for this precision; delete the plan file",
        choice.text());
  ConvPlan plan;
  plan.choice = {choice.engine, knobs_of(config)};
  CHECK_CUDA(finalize_plan(config, facts, target, plan));
  return plan;
}

CudnnDescriptor bind_tensors(const void* x, const void* w, const void* y, void* workspace) {
  const std::int64_t uids[3] = {kUidX, kUidW, kUidY};
  const void* pointers[3] = {x, w, y};
  CudnnDescriptor pack = create(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, uids, 3);
  set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers, 3);
  set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  CHECK_CUDA(cudnnBackendFinalize(pack.get()));
  return pack;
}

}  // namespace tdds
