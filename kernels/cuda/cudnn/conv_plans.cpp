#include "kernels/cuda/cudnn/conv_plans.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <sstream>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::size_t kTimedPlans = 16;  // in the order of the heuristics; the fastest is rarely far down
constexpr std::size_t kSmallWorkspace = std::size_t{1} << 20;
constexpr std::size_t kBestFew = 8;  // among these a plan on tensor cores is preferred
constexpr const char* kFirstLine = "tdds convolution plans 1";

}  // namespace

std::string conv_text(const Conv2dSpec& spec, ConvDirection direction) {
  return fmt::format(
      "{} x [{},{},{},{}] w [{},{},{},{}] stride {} padding {} {}", to_string(direction), spec.batch,
      spec.height, spec.width, spec.channels, spec.out_channels, spec.filter_h, spec.filter_w, spec.channels,
      spec.stride, spec.padding,
      spec.dtype == DType::kF32 && spec.math == Conv2dMath::kTf32 ? "tf32" : to_string(spec.dtype));
}

ConvPlanStore::ConvPlanStore(CudnnTarget target, std::string gpu, PlanCache cache, PlanTimer timer)
    : target_(std::move(target)), gpu_(std::move(gpu)), cache_(std::move(cache)), timer_(std::move(timer)) {
  if (timer_ && cache_.read) read_cache();
}

void ConvPlanStore::keep(const std::string& choices) {
  if (!choices.empty()) kept_ = parse(choices, "the plans of the run that is resumed");
}

std::string ConvPlanStore::key(const Conv2dSpec& spec, ConvDirection direction) const {
  return fmt::format("cudnn {} | {} | {}", cudnnGetVersion(), gpu_, conv_text(spec, direction));
}

std::shared_ptr<const ConvPlan> ConvPlanStore::get(const Conv2dSpec& spec, ConvDirection direction) {
  const std::string key = this->key(spec, direction);
  std::shared_ptr<const ConvPlan>& plan = plans_[key];
  if (!plan) plan = std::make_shared<ConvPlan>(make(spec, direction, key));
  return plan;
}

ConvPlan ConvPlanStore::make(const Conv2dSpec& spec, ConvDirection direction, const std::string& key) {
  if (const auto kept = kept_.find(key); kept != kept_.end())
    return rebuild_plan(spec, direction, target_, kept->second.choice);
  if (const auto timed = timed_.find(key); timed != timed_.end()) {
    try {
      return rebuild_plan(spec, direction, target_, timed->second.choice);
    } catch (const Error& error) {
      notes_.push_back(fmt::format("{}: the plan for {} cannot be rebuilt and is timed again: {}",
                                   cache_.name, conv_text(spec, direction), error.what()));
    }
  }
  return timer_ ? choose_by_time(spec, direction, key) : choose_first(spec, direction);
}

std::vector<ConvPlan> ConvPlanStore::propose(const Conv2dSpec& spec, ConvDirection direction,
                                             std::size_t limit) const {
  std::string reason;
  std::vector<ConvPlan> proposed = propose_plans(spec, direction, target_, limit, &reason);
  check(!proposed.empty(),
        "cuDNN {} has no deterministic plan for the convolution {} on {}{}{}; use another precision or batch",
        cudnnGetVersion(), conv_text(spec, direction), gpu_, reason.empty() ? "" : ", and says ", reason);
  return proposed;
}

// For some graphs the first engine of heuristic A does not use tensor cores. An engine that does is no gain
// if it first copies the tensors to another layout, which shows in its workspace.
ConvPlan ConvPlanStore::choose_first(const Conv2dSpec& spec, ConvDirection direction) const {
  std::vector<ConvPlan> proposed = propose(spec, direction, 1);
  const bool exact = spec.dtype == DType::kF32 && spec.math == Conv2dMath::kExact;
  if (exact || proposed[0].has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return std::move(proposed[0]);
  proposed = propose(spec, direction, kBestFew);
  const std::size_t most = std::max(proposed[0].workspace_bytes, kSmallWorkspace);
  const auto found = std::find_if(proposed.begin(), proposed.end(), [&](const ConvPlan& plan) {
    return plan.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) && plan.workspace_bytes <= most;
  });
  return std::move(found == proposed.end() ? proposed[0] : *found);
}

ConvPlan ConvPlanStore::choose_by_time(const Conv2dSpec& spec, ConvDirection direction,
                                       const std::string& key) {
  std::vector<ConvPlan> proposed = propose(spec, direction, kTimedPlans);
  std::size_t best = 0;
  double best_milliseconds = std::numeric_limits<double>::infinity();
  std::string failure;
  for (std::size_t i = 0; i < proposed.size(); ++i) {
    try {
      const double milliseconds = timer_(spec, direction, proposed[i]);
      if (milliseconds >= best_milliseconds) continue;
      best = i;
      best_milliseconds = milliseconds;
    } catch (const Error& error) {  // e.g. no memory for its workspace: other plans may run
      failure = error.what();
      static_cast<void>(cudaGetLastError());
    }
  }
  check(best_milliseconds < std::numeric_limits<double>::infinity(),
        "none of cuDNN's {} plans for the convolution {} ran on {}: {}", proposed.size(),
        conv_text(spec, direction), gpu_, failure);
  timed_[key] = {proposed[best].choice, best_milliseconds};
  if (cache_.keep) write_cache();
  return std::move(proposed[best]);
}

std::string ConvPlanStore::choices() const {
  Choices choices;
  for (const auto& [key, plan] : plans_) {
    if (!plan) continue;  // the last get() failed
    const auto timed = timed_.find(key);
    choices[key] = {plan->choice, timed == timed_.end() ? 0 : timed->second.milliseconds};
  }
  return serialized(choices);
}

ConvPlanStore::Choices ConvPlanStore::parse(const std::string& text, const std::string& where) {
  std::istringstream in(text);
  std::string line;
  check(static_cast<bool>(std::getline(in, line)) && line == kFirstLine,
        "{}: not a list of convolution plans: the first line is not '{}'", where, kFirstLine);
  Choices choices;
  for (int number = 2; std::getline(in, line); ++number) {
    std::istringstream fields(line);
    std::string name, choice, milliseconds;
    check(std::getline(fields, name, '\t') && std::getline(fields, choice, '\t') && (fields >> milliseconds),
          "{}, line {}: expected a shape, a plan and a time, separated by tabs", where, number);
    Kept kept{ConvPlanChoice::parse(choice), 0};
    char after = 0;
    check(std::sscanf(milliseconds.c_str(), "%lf%c", &kept.milliseconds, &after) == 1,
          "{}, line {}: '{}' is not a time in milliseconds", where, number, milliseconds);
    choices[name] = std::move(kept);
  }
  return choices;
}

std::string ConvPlanStore::serialized(const Choices& choices) {
  std::string text = fmt::format("{}\n", kFirstLine);
  for (const auto& [name, kept] : choices)
    text += fmt::format("{}\t{}\t{:.4f}\n", name, kept.choice.text(), kept.milliseconds);
  return text;
}

void ConvPlanStore::read_cache() {
  try {
    if (const std::optional<std::string> text = cache_.read()) timed_ = parse(*text, "the file");
  } catch (const Error& error) {
    notes_.push_back(fmt::format("the plan cache {} is damaged and ignored: {}", cache_.name, error.what()));
  }
}

void ConvPlanStore::write_cache() {
  try {
    cache_.keep(serialized(timed_));
  } catch (const Error& error) {
    notes_.push_back(
        fmt::format("the plan cache {} cannot be saved, so the next run times its plans again: {}",
                    cache_.name, error.what()));
    cache_.keep = nullptr;
  }
}

}  // namespace tdds
