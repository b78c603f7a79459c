#pragma once
// The convolution plans of one GPU: chosen once per shape and direction, shared by all layers of that shape.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/cudnn/cudnn_graph.h"
#include "kernels/runtime/device.h"

namespace tdds {

// How plans are timed. Tests replace every member.
struct PlanTiming {
  // The median of `runs` executions of a plan in milliseconds, after one that loads its code.
  using Timer = std::function<double(const ConvPlan&, int runs)>;
  // Makes and fills the tensors of a convolution, which live as long as the timer. Null: nothing is timed.
  std::function<Timer(const Conv2dSpec&, ConvDirection)> prepare = {};
  double budget_seconds = 15;                         // for all convolutions together
  std::function<double()> seconds = {};               // a clock
  std::function<void(const std::string&)> show = {};  // DeviceOptions::show_timing
};

// The kernels of the project's own that can serve convolutions on the GPU.
struct OwnKernels {
  // Those for a shape, ready to run, the one that is likely to be the fastest first. Null: none.
  std::function<std::vector<Conv3x3Tile>(const Conv2dSpec&, ConvDirection)> tiles = {};
  bool always = false;  // the first of them serves, without a comparison
};

class ConvPlanStore {
 public:
  // `gpu` names the GPU in errors and in the cache. A plan comes from keep(), else from `cache`, else from a
  // timing, which adds it to the cache. Without timing, or once the budget is used up, it is cuDNN's first
  // proposal or, where tensor cores support the precision, the first of its best few that uses them without
  // copying the tensors. So are plans for inference; a short batch takes the engine and the settings of the
  // full one where these support it and need no larger workspace. A cache that is damaged or cannot be
  // written leads to new timings and a note, not to an error.
  //
  // Own kernels take part in a timing. The timer compares their result with that of a plan of cuDNN's, and
  // throws where they differ; such a kernel is never used, and a note says so. What a cache holds is timed
  // again if an own kernel could serve it that did not take part.
  ConvPlanStore(CudnnTarget target, std::string gpu, PlanCache cache, PlanTiming timing, OwnKernels own = {});

  // Plans that take precedence over all others: choices() of the run that is resumed. Throws Error where
  // `choices` is not the text of choices().
  void keep(const std::string& choices);

  // Throws Error, naming the shape, where cuDNN has no plan that kernels/cuda/cudnn/cudnn_graph.h accepts, or
  // no longer has the plan given to keep().
  std::shared_ptr<const ConvPlan> get(const Conv2dSpec& spec, ConvDirection direction);

  // Times every plan that get() may choose for a training, and the one that it chooses. Changes no choice.
  std::vector<TimedConvPlan> time_all(const Conv2dCall& call, const PlanTiming::Timer& timer);

  // Every plan that was given to keep() or that get() has returned so far, as text for keep().
  std::string choices() const;
  // Sentences for the user about the timing and the cache.
  std::vector<std::string> notes() const;

  // Identifies a choice in the cache: cuDNN's version, the GPU, the shape, the types and the direction.
  std::string key(const Conv2dSpec& spec, ConvDirection direction) const;

 private:
  struct Kept {
    ConvPlanChoice choice;
    double milliseconds;  // 0: not timed
    int own_version = 0;  // of the own kernels that took part; 0: none did
  };
  using Choices = std::map<std::string, Kept>;
  struct Timed {
    ConvPlan plan;
    double milliseconds;
  };
  // Also reads the format of earlier versions of this program, which had no own kernels.
  static Choices parse(const std::string& text, const std::string& where);
  static std::string serialized(const Choices& choices);
  void read_cache();
  void write_cache();
  void check_some(bool some, const Conv2dSpec& spec, ConvDirection direction,
                  const std::string& reason) const;
  std::vector<ConvPlan> propose(const Conv2dSpec& spec, ConvDirection direction, std::size_t limit) const;
  ConvPlan choose_first(const Conv2dSpec& spec, ConvDirection direction) const;
  ConvPlan make(const Conv2dSpec& spec, ConvDirection direction, const std::string& key);
  ConvPlan plan_of(const Conv2dSpec& spec, ConvDirection direction, const ConvPlanChoice& choice) const;
  ConvPlan own_plan_of(const Conv2dSpec& spec, ConvDirection direction, const ConvPlanChoice& choice) const;
  std::vector<ConvPlan> own_plans(const Conv2dSpec& spec, ConvDirection direction) const;
  int own_version(const Conv2dSpec& spec, ConvDirection direction) const;
  bool is_current(const Kept& timed, const Conv2dSpec& spec, ConvDirection direction) const;
  ConvPlan choose_like_full_batch(const Conv2dSpec& spec, ConvDirection direction);
  double share() const;  // seconds for the next convolution
  ConvPlan choose_by_time(const Conv2dSpec& spec, ConvDirection direction, const std::string& key);
  std::vector<Timed> time_once(const Conv2dSpec& spec, ConvDirection direction,
                               const PlanTiming::Timer& timer, double until);
  void time_own(const Conv2dSpec& spec, ConvDirection direction, const PlanTiming::Timer& timer,
                std::vector<Timed>& ran);
  void compare_own(const std::vector<Timed>& ran);
  Timed time_best_again(std::vector<Timed> ran, const PlanTiming::Timer& timer, double until) const;

  CudnnTarget target_;
  std::string gpu_;
  PlanCache cache_;
  PlanTiming timing_;
  OwnKernels own_;
  std::map<std::string, std::shared_ptr<const ConvPlan>> plans_;
  Choices timed_, kept_;     // from the cache and timed here; from the run that is resumed
  double used_seconds_ = 0;  // of the budget
  std::size_t plans_timed_ = 0;
  std::vector<double> speedups_;  // of the best own kernel over cuDNN's best plan, in their first runs
  int convolutions_timed_ = 0, untimed_ = 0;  // untimed_: because the budget was used up
  std::vector<std::string> notes_;
};

// "forward x [128,32,32,64] w [64,3,3,64] stride 1 padding 1 f16", for messages and tables.
std::string conv_text(const Conv2dSpec& spec, ConvDirection direction);

}  // namespace tdds
