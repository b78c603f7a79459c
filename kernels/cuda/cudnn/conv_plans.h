#pragma once
// The convolution plans of one GPU: chosen once per shape and direction, shared by all layers of that shape.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/cudnn/cudnn_graph.h"
#include "kernels/runtime/device.h"

namespace tdds {

// Returns the milliseconds that one execution of the plan takes.
using PlanTimer = std::function<double(const Conv2dSpec&, ConvDirection, const ConvPlan&)>;

class ConvPlanStore {
 public:
  // `gpu` names the GPU in errors and in the cache. With a timer, plans not yet in `cache` are chosen by
  // timing and added to it. Without one the cache is not read, and the plan is cuDNN's first proposal or,
  // where tensor cores support the precision, the first of its best few that uses them without copying the
  // tensors. A cache that is damaged or cannot be written leads to new timings and a note, not to an error.
  ConvPlanStore(CudnnTarget target, std::string gpu, PlanCache cache, PlanTimer timer);

  // Plans that take precedence over all others: choices() of the run that is resumed. Throws Error where
  // `choices` is not the text of choices().
  void keep(const std::string& choices);

  // Throws Error, naming the shape, where cuDNN has no plan that kernels/cuda/cudnn/cudnn_graph.h accepts, or
  // no longer has the plan given to keep().
  std::shared_ptr<const ConvPlan> get(const Conv2dSpec& spec, ConvDirection direction);

  // Every plan that get() has returned so far, as text for keep().
  std::string choices() const;
  // Sentences for the user about the cache.
  const std::vector<std::string>& notes() const { return notes_; }

  // Identifies a choice in the cache: cuDNN's version, the GPU, the shape, the types and the direction.
  std::string key(const Conv2dSpec& spec, ConvDirection direction) const;

 private:
  struct Kept {
    ConvPlanChoice choice;
    double milliseconds;  // 0: not timed
  };
  using Choices = std::map<std::string, Kept>;
  static Choices parse(const std::string& text, const std::string& where);
  static std::string serialized(const Choices& choices);
  void read_cache();
  void write_cache();
  std::vector<ConvPlan> propose(const Conv2dSpec& spec, ConvDirection direction, std::size_t limit) const;
  ConvPlan choose_first(const Conv2dSpec& spec, ConvDirection direction) const;
  ConvPlan make(const Conv2dSpec& spec, ConvDirection direction, const std::string& key);
  ConvPlan choose_by_time(const Conv2dSpec& spec, ConvDirection direction, const std::string& key);

  CudnnTarget target_;
  std::string gpu_;
  PlanCache cache_;
  PlanTimer timer_;
  std::map<std::string, std::shared_ptr<const ConvPlan>> plans_;
  Choices timed_, kept_;  // from the cache; from the run that is resumed
  std::vector<std::string> notes_;
};

// "forward x [128,32,32,64] w [64,3,3,64] stride 1 padding 1 f16", for messages and tables.
std::string conv_text(const Conv2dSpec& spec, ConvDirection direction);

}  // namespace tdds
