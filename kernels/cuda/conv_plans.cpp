#include "kernels/cuda/conv_plans.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/check.h"

namespace tdds {
namespace {

constexpr std::size_t kTimedPlans = 16;  // heuristics order them; the fastest is rarely far down
constexpr const char* kFirstLine = "tdds convolution plans 1";

}  // namespace

std::string conv_text(const Conv2dSpec& spec, ConvDirection direction) {
  return fmt::format(
      "{} x [{},{},{},{}] w [{},{},{},{}] stride {} padding {} {}", name_of(direction), spec.batch,
      spec.height, spec.width, spec.channels, spec.out_channels, spec.filter_h, spec.filter_w, spec.channels,
      spec.stride, spec.padding,
      spec.dtype == DType::kF32 && spec.math == Conv2dMath::kTf32 ? "tf32" : name_of(spec.dtype));
}

ConvPlanStore::ConvPlanStore(CudnnTarget target, std::string gpu, std::string file, PlanTimer timer)
    : target_(std::move(target)), gpu_(std::move(gpu)), file_(std::move(file)), timer_(std::move(timer)) {
  if (!file_.empty() && std::filesystem::exists(file_)) read_file();
}

std::string ConvPlanStore::key(const Conv2dSpec& spec, ConvDirection direction) const {
  return fmt::format("cudnn {} | {} | {}", cudnnGetVersion(), gpu_, conv_text(spec, direction));
}

std::shared_ptr<const ConvPlan> ConvPlanStore::get(const Conv2dSpec& spec, ConvDirection direction) {
  const std::string key = this->key(spec, direction);
  std::shared_ptr<const ConvPlan>& plan = plans_[key];
  if (plan) return plan;
  if (const auto kept = kept_.find(key); kept != kept_.end()) {
    plan = std::make_shared<ConvPlan>(rebuild_plan(spec, direction, target_, kept->second.choice));
  } else if (timer_) {
    plan = std::make_shared<ConvPlan>(choose_by_time(spec, direction, key));
  } else {
    std::vector<ConvPlan> proposed = propose_plans(spec, direction, target_, 1);
    check(!proposed.empty(),
          "cuDNN {} has no deterministic plan for the convolution {} on {}; use another precision or batch",
          cudnnGetVersion(), conv_text(spec, direction), gpu_);
    plan = std::make_shared<ConvPlan>(std::move(proposed.front()));
  }
  return plan;
}

ConvPlan ConvPlanStore::choose_by_time(const Conv2dSpec& spec, ConvDirection direction,
                                       const std::string& key) {
  std::vector<ConvPlan> proposed = propose_plans(spec, direction, target_, kTimedPlans);
  check(!proposed.empty(),
        "cuDNN {} has no deterministic plan for the convolution {} on {}; use another precision or batch",
        cudnnGetVersion(), conv_text(spec, direction), gpu_);
  std::size_t best = 0;
  double best_milliseconds = 0;
  for (std::size_t i = 0; i < proposed.size(); ++i) {
    const double milliseconds = timer_(spec, direction, proposed[i]);
    if (i > 0 && milliseconds >= best_milliseconds) continue;
    best = i;
    best_milliseconds = milliseconds;
  }
  kept_[key] = {proposed[best].choice, best_milliseconds};
  if (!file_.empty()) write_file();
  return std::move(proposed[best]);
}

void ConvPlanStore::read_file() {
  std::ifstream in(file_);
  std::string line;
  check(static_cast<bool>(std::getline(in, line)) && line == kFirstLine,
        "{} is not a file of convolution plans: it must begin with '{}'; delete it or name another", file_,
        kFirstLine);
  for (int number = 2; std::getline(in, line); ++number) {
    std::istringstream fields(line);
    std::string name, choice, milliseconds;
    check(std::getline(fields, name, '\t') && std::getline(fields, choice, '\t') && (fields >> milliseconds),
          "{} line {}: a shape, a plan and a time, separated by tabs, are expected; delete the file", file_,
          number);
    Kept kept{ConvPlanChoice::parse(choice), 0};
    check(std::sscanf(milliseconds.c_str(), "%lf", &kept.milliseconds) == 1,
          "{} line {}: '{}' is not a time in milliseconds; delete the file", file_, number, milliseconds);
    kept_[name] = std::move(kept);
  }
  check(in.eof(), "{} cannot be read to its end", file_);
}

void ConvPlanStore::write_file() const {
  const std::string beside = file_ + ".tmp";
  std::ofstream out(beside, std::ios::trunc);
  out << kFirstLine << '\n';
  for (const auto& [name, kept] : kept_)
    out << name << '\t' << kept.choice.text() << '\t' << fmt::format("{:.4f}", kept.milliseconds) << '\n';
  out.close();
  check(static_cast<bool>(out), "{} cannot be written: is the disk full?", beside);
  std::error_code error;
  std::filesystem::rename(beside, file_, error);
  check(!error, "{} cannot be renamed to {}: {}", beside, file_, error.message());
}

}  // namespace tdds
