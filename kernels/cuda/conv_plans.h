#pragma once
// The convolution plans of one GPU: chosen once per shape and direction, shared by all layers of that shape.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "kernels/cuda/cudnn_graph.h"

namespace tdds {

// Milliseconds that one execution of the plan takes.
using PlanTimer = std::function<double(const Conv2dSpec&, ConvDirection, const ConvPlan&)>;

class ConvPlanStore {
 public:
  // `gpu` names the GPU in errors and in the file. With a timer, plans not yet in the file are chosen by
  // timing and added to it; without one they are cuDNN's first proposal. `file` may be empty: no file. A file
  // that cannot be read as one of these is an Error that names it.
  ConvPlanStore(CudnnTarget target, std::string gpu, std::string file, PlanTimer timer);

  // Throws Error, naming the shape, where cuDNN has no plan that kernels/cuda/cudnn_graph.h accepts.
  std::shared_ptr<const ConvPlan> get(const Conv2dSpec& spec, ConvDirection direction);

  // Identifies a choice in the file: cuDNN's version, the GPU, the shape, the types and the direction.
  std::string key(const Conv2dSpec& spec, ConvDirection direction) const;

 private:
  struct Kept {
    ConvPlanChoice choice;
    double milliseconds;
  };
  void read_file();
  void write_file() const;
  ConvPlan choose_by_time(const Conv2dSpec& spec, ConvDirection direction, const std::string& key);

  CudnnTarget target_;
  std::string gpu_, file_;
  PlanTimer timer_;
  std::map<std::string, std::shared_ptr<const ConvPlan>> plans_;
  std::map<std::string, Kept> kept_;  // what the file says
};

// "forward x [128,32,32,64] w [64,3,3,64] stride 1 padding 1 f16", for messages and tables.
std::string conv_text(const Conv2dSpec& spec, ConvDirection direction);

}  // namespace tdds
