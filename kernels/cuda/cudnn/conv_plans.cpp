#include "kernels/cuda/cudnn/conv_plans.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <optional>
#include <sstream>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::size_t kSmallWorkspace = std::size_t{1} << 20;
constexpr std::size_t kBestFew = 8;  // among these a plan on tensor cores is preferred
constexpr const char *kFirstLine = "tdds convolution plans 2", *kFirstLineOf1 = "tdds convolution plans 1";

// A convolution may take a sixteenth of what is left of the budget, three quarters of it for the first round.
// So later convolutions have less time, but some; ResNet-18 has 31 in training.
constexpr double kShare = 1.0 / 16, kFirstRound = 0.75, kLeastSeconds = 0.02;
constexpr std::size_t kTimedAgain = 4;
constexpr int kRunsAgain = 9;
constexpr double kWorthTimingAgain = 4;  // times the best

constexpr double kNever = std::numeric_limits<double>::infinity();

double machine_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// kNever, with the reason in `failure`, if the plan does not run, for example for lack of memory for its
// workspace: others may.
double measured(const PlanTiming::Timer& timer, const ConvPlan& plan, int runs, std::string& failure) {
  try {
    return timer(plan, runs);
  } catch (const Error& error) {
    failure = error.what();
    static_cast<void>(cudaGetLastError());
    return kNever;
  }
}

// Ends what is shown, also after an error.
struct ShownText {
  const PlanTiming& timing;
  ~ShownText() {
    if (timing.show) timing.show("");
  }
};

}  // namespace

std::string conv_text(const Conv2dSpec& spec, ConvDirection direction) {
  std::string text = fmt::format(
      "{} x [{},{},{},{}] w [{},{},{},{}] stride {} padding {} {}",
      spec.backward ? to_string(direction) : "inference", spec.batch, spec.height, spec.width, spec.channels,
      spec.out_channels, spec.filter_h, spec.filter_w, spec.channels, spec.stride, spec.padding,
      spec.dtype == DType::kF32 && spec.math == Conv2dMath::kTf32 ? "tf32" : to_string(spec.dtype));
  if (spec.full_batch > 0) text += fmt::format(" of batches of {}", spec.full_batch);
  return text;
}

ConvPlanStore::ConvPlanStore(CudnnTarget target, std::string gpu, PlanCache cache, PlanTiming timing,
                             OwnKernels own)
    : target_(std::move(target)),
      gpu_(std::move(gpu)),
      cache_(std::move(cache)),
      timing_(std::move(timing)),
      own_(std::move(own)) {
  if (!timing_.seconds) timing_.seconds = machine_seconds;
  if (cache_.read) read_cache();
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

std::vector<ConvPlan> ConvPlanStore::own_plans(const Conv2dSpec& spec, ConvDirection direction) const {
  std::vector<ConvPlan> plans;
  if (own_.tiles && spec.backward)
    for (const Conv3x3Tile tile : own_.tiles(spec, direction))
      plans.push_back({.choice = {.own = to_string(tile), .version = kConv3x3Version}, .tile = tile});
  return plans;
}

int ConvPlanStore::own_version(const Conv2dSpec& spec, ConvDirection direction) const {
  return own_plans(spec, direction).empty() ? 0 : kConv3x3Version;
}

// Whether the plan would be the fastest today: own kernels that can serve took part in its timing.
bool ConvPlanStore::is_current(const Kept& timed, const Conv2dSpec& spec, ConvDirection direction) const {
  const int version = own_version(spec, direction);
  return version == 0 ? timed.choice.own.empty() : timed.own_version == version;
}

ConvPlan ConvPlanStore::own_plan_of(const Conv2dSpec& spec, ConvDirection direction,
                                    const ConvPlanChoice& choice) const {
  check(choice.version == kConv3x3Version,
        "{} was computed by version {} of the project's 3x3 convolution, and this program has version {}, "
        "whose bits differ; continue with the program that began, or start again",
        conv_text(spec, direction), choice.version, kConv3x3Version);
  for (ConvPlan& plan : own_plans(spec, direction))
    if (plan.choice.own == choice.own) return std::move(plan);
  throw Error(
      fmt::format("the kernel '{}' cannot compute {} on {}", choice.own, conv_text(spec, direction), gpu_));
}

ConvPlan ConvPlanStore::plan_of(const Conv2dSpec& spec, ConvDirection direction,
                                const ConvPlanChoice& choice) const {
  return choice.own.empty() ? rebuild_plan(spec, direction, target_, choice)
                            : own_plan_of(spec, direction, choice);
}

ConvPlan ConvPlanStore::make(const Conv2dSpec& spec, ConvDirection direction, const std::string& key) {
  if (const auto kept = kept_.find(key); kept != kept_.end())
    return plan_of(spec, direction, kept->second.choice);
  if (own_.always)
    if (std::vector<ConvPlan> own = own_plans(spec, direction); !own.empty()) return std::move(own[0]);
  if (!spec.backward) return choose_first(spec, direction);
  if (spec.full_batch > 0) return choose_like_full_batch(spec, direction);
  const auto timed = timed_.find(key);
  if (timed != timed_.end() && is_current(timed->second, spec, direction)) {
    try {
      return plan_of(spec, direction, timed->second.choice);
    } catch (const Error& error) {
      notes_.push_back(fmt::format("{}: the plan for {} cannot be rebuilt and is chosen again: {}",
                                   cache_.name, conv_text(spec, direction), error.what()));
    }
  }
  if (!timing_.prepare) return choose_first(spec, direction);
  if (share() >= kLeastSeconds) return choose_by_time(spec, direction, key);
  ++untimed_;
  return choose_first(spec, direction);
}

double ConvPlanStore::share() const {
  return kShare * (timing_.budget_seconds - used_seconds_);
}

void ConvPlanStore::check_some(bool some, const Conv2dSpec& spec, ConvDirection direction,
                               const std::string& reason) const {
  check(some,
        "cuDNN {} has no deterministic plan for the convolution {} on {}{}{}; use another precision or batch",
        cudnnGetVersion(), conv_text(spec, direction), gpu_, reason.empty() ? "" : ", and says ", reason);
}

std::vector<ConvPlan> ConvPlanStore::propose(const Conv2dSpec& spec, ConvDirection direction,
                                             std::size_t limit) const {
  std::string reason;
  std::vector<ConvPlan> proposed = propose_plans(spec, direction, target_, limit, &reason);
  check_some(!proposed.empty(), spec, direction, reason);
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

ConvPlan ConvPlanStore::choose_like_full_batch(const Conv2dSpec& spec, ConvDirection direction) {
  Conv2dSpec full = spec;
  full.batch = spec.full_batch;
  full.full_batch = 0;
  const std::shared_ptr<const ConvPlan> plan = get(full, direction);
  try {
    ConvPlan same = plan_of(spec, direction, plan->choice);
    if (same.workspace_bytes <= std::max(plan->workspace_bytes, kSmallWorkspace)) return same;
  } catch (const Error&) {  // the engine does not support this batch
  }
  return choose_first(spec, direction);
}

ConvPlan ConvPlanStore::choose_by_time(const Conv2dSpec& spec, ConvDirection direction,
                                       const std::string& key) {
  const ShownText shown{timing_};
  const double begin = timing_.seconds(), share = this->share();
  PlanTiming::Timer timer;
  try {
    timer = timing_.prepare(spec, direction);
  } catch (const Error& error) {
    notes_.push_back(
        fmt::format("the plans for {} were not timed: {}", conv_text(spec, direction), error.what()));
    static_cast<void>(cudaGetLastError());
    return choose_first(spec, direction);
  }
  std::vector<Timed> ran = time_once(spec, direction, timer, begin + kFirstRound * share);
  plans_timed_ += ran.size();
  compare_own(ran);
  Timed best = time_best_again(std::move(ran), timer, begin + share);
  ++convolutions_timed_;
  timed_[key] = {best.plan.choice, best.milliseconds, own_version(spec, direction)};
  if (cache_.update) write_cache();
  used_seconds_ += timing_.seconds() - begin;
  return std::move(best.plan);
}

// One run of every plan that runs, in the order of the heuristics.
std::vector<ConvPlanStore::Timed> ConvPlanStore::time_once(const Conv2dSpec& spec, ConvDirection direction,
                                                           const PlanTiming::Timer& timer, double until) {
  std::vector<Timed> ran;
  std::string failure;
  int tried = 0;
  const std::string reason = visit_plans(spec, direction, target_, kAllPlans, [&](ConvPlan plan) {
    ++tried;
    if (timing_.show)
      timing_.show(fmt::format("timing cuDNN's convolution plans, for at most {} s in all: {}",
                               timing_.budget_seconds, conv_text(spec, direction)));
    const double milliseconds = measured(timer, plan, 1, failure);
    if (milliseconds < kNever) {
      ran.push_back({std::move(plan), milliseconds});
      if (ran.size() == 1) time_own(spec, direction, timer, ran);
    }
    return ran.empty() || timing_.seconds() < until;
  });
  check_some(tried > 0, spec, direction, reason);
  check(!ran.empty(), "none of cuDNN's {} plans for the convolution {} ran on {}: {}", tried,
        conv_text(spec, direction), gpu_, failure);
  return ran;
}

// Runs own kernels after a plan of cuDNN's, whose result theirs must be.
void ConvPlanStore::time_own(const Conv2dSpec& spec, ConvDirection direction, const PlanTiming::Timer& timer,
                             std::vector<Timed>& ran) {
  for (ConvPlan& plan : own_plans(spec, direction)) {
    std::string failure;
    const double milliseconds = measured(timer, plan, 1, failure);
    if (milliseconds < kNever)
      ran.push_back({std::move(plan), milliseconds});
    else
      notes_.push_back(fmt::format("the kernel '{}' is not used for {}: {}", plan.choice.own,
                                   conv_text(spec, direction), failure));
  }
}

void ConvPlanStore::compare_own(const std::vector<Timed>& ran) {
  double own = kNever, cudnn = kNever;
  for (const Timed& one : ran) {
    double& least = one.plan.tile ? own : cudnn;
    least = std::min(least, one.milliseconds);
  }
  if (own < kNever) speedups_.push_back(cudnn / own);
}

// Of plans that are equally fast, the heuristics' earlier one is taken.
ConvPlanStore::Timed ConvPlanStore::time_best_again(std::vector<Timed> ran, const PlanTiming::Timer& timer,
                                                    double until) const {
  const std::string first = ran[0].plan.choice.text();
  std::stable_sort(ran.begin(), ran.end(),
                   [](const Timed& a, const Timed& b) { return a.milliseconds < b.milliseconds; });
  // The heuristics' first is timed again in any case: its first run may have found an idle GPU, which has a
  // low clock.
  const auto at =
      std::find_if(ran.begin(), ran.end(), [&](const Timed& one) { return one.plan.choice.text() == first; });
  if (static_cast<std::size_t>(at - ran.begin()) >= kTimedAgain)
    std::iter_swap(at, ran.begin() + kTimedAgain - 1);
  std::size_t best = 0;
  double least = kNever;
  std::string failure;
  for (std::size_t i = 0; i < std::min(kTimedAgain, ran.size()) && timing_.seconds() < until; ++i) {
    const double milliseconds = measured(timer, ran[i].plan, kRunsAgain, failure);
    if (milliseconds >= least) continue;
    least = milliseconds;
    best = i;
  }
  if (least < kNever) ran[best].milliseconds = least;
  return std::move(ran[best]);
}

// A plan that is slow in its first run is not run again: some take a hundred times as long as the best.
std::vector<TimedConvPlan> ConvPlanStore::time_all(const Conv2dCall& call, const PlanTiming::Timer& timer) {
  const std::shared_ptr<const ConvPlan> chosen = get(call.spec, call.direction);
  std::vector<TimedConvPlan> timed;
  bool seen = false;
  double best = kNever;
  std::string failure;
  const auto time = [&](const ConvPlan& plan, bool is_chosen) {
    double milliseconds = measured(timer, plan, 1, failure);
    if (milliseconds < kWorthTimingAgain * best) milliseconds = measured(timer, plan, kRunsAgain, failure);
    best = std::min(best, milliseconds);
    timed.push_back({.plan = fmt::format("{} ({})", plan.choice.text(), plan.text()),
                     .seconds = milliseconds < kNever ? milliseconds / 1000 : 0,
                     .chosen = is_chosen});
    seen = seen || is_chosen;
  };
  visit_plans(call.spec, call.direction, target_, kAllPlans, [&](const ConvPlan& plan) {
    time(plan, plan.choice.text() == chosen->choice.text());
    return true;
  });
  if (!seen) time(*chosen, true);
  return timed;
}

std::string ConvPlanStore::choices() const {
  Choices choices = kept_;
  for (const auto& [key, plan] : plans_) {
    if (!plan) continue;  // the last get() failed
    const auto timed = timed_.find(key);
    const bool same = timed != timed_.end() && timed->second.choice.text() == plan->choice.text();
    choices[key] = same ? timed->second : Kept{plan->choice, 0};
  }
  return serialized(choices);
}

std::vector<std::string> ConvPlanStore::notes() const {
  std::vector<std::string> notes = notes_;
  if (convolutions_timed_ > 0)
    notes.push_back(fmt::format("{} plans of {} convolutions were timed in {:.1f} s; the fastest are {}",
                                plans_timed_, convolutions_timed_, used_seconds_,
                                cache_.update ? "kept in " + cache_.name : "not kept for other runs"));
  if (!speedups_.empty()) {
    const auto [least, most] = std::minmax_element(speedups_.begin(), speedups_.end());
    const auto faster =
        std::count_if(speedups_.begin(), speedups_.end(), [](double speedup) { return speedup > 1; });
    notes.push_back(fmt::format(
        "own kernels were faster than cuDNN's best plan for {} of {} convolutions: {:.2f} to {:.2f} "
        "times as fast in a first run",
        faster, speedups_.size(), *least, *most));
  }
  if (untimed_ > 0)
    notes.push_back(
        fmt::format("cuDNN's heuristics chose the plans of {} convolutions: timing takes at most "
                    "{} s in all",
                    untimed_, timing_.budget_seconds));
  return notes;
}

ConvPlanStore::Choices ConvPlanStore::parse(const std::string& text, const std::string& where) {
  std::istringstream in(text);
  std::string line;
  check(static_cast<bool>(std::getline(in, line)) && (line == kFirstLine || line == kFirstLineOf1),
        "{}: not a list of convolution plans: the first line is neither '{}' nor '{}'", where, kFirstLine,
        kFirstLineOf1);
  const bool has_versions = line == kFirstLine;
  Choices choices;
  for (int number = 2; std::getline(in, line); ++number) {
    std::istringstream fields(line);
    std::string name, choice, milliseconds;
    Kept kept{{}, 0};
    check(std::getline(fields, name, '\t') && std::getline(fields, choice, '\t') &&
              (fields >> milliseconds) && (!has_versions || (fields >> kept.own_version)),
          "{}, line {}: expected a shape, a plan, a time{}, separated by tabs", where, number,
          has_versions ? " and the version of own kernels" : "");
    kept.choice = ConvPlanChoice::parse(choice);
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
    text +=
        fmt::format("{}\t{}\t{:.4f}\t{}\n", name, kept.choice.text(), kept.milliseconds, kept.own_version);
  return text;
}

void ConvPlanStore::read_cache() {
  try {
    if (const PlanCache::Text text = cache_.read()) timed_ = parse(*text, "the file");
  } catch (const Error& error) {
    notes_.push_back(fmt::format("the plan cache {} is damaged and ignored: {}", cache_.name, error.what()));
  }
}

// Adds what other programs have saved since this one read the cache.
void ConvPlanStore::write_cache() {
  try {
    cache_.update([this](const PlanCache::Text& saved) {
      try {
        if (saved) timed_.merge(parse(*saved, "the file"));
      } catch (const Error&) {  // damaged: it is replaced
      }
      return serialized(timed_);
    });
  } catch (const Error& error) {
    notes_.push_back(
        fmt::format("the plan cache {} cannot be saved, so the next run times its plans again: {}",
                    cache_.name, error.what()));
    cache_.update = nullptr;
  }
}

}  // namespace tdds
