#pragma once
// PyTorch's ops beside this project's: a process of Python (bench/torch_ops.py) times an op whenever it is
// asked, so that a row and its peer are measured one after the other.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bench/op_list.h"
#include "bench/sampling.h"
#include "engine/precision.h"
#include "kernels/runtime/check.h"

namespace tdds {

// PyTorch's op failed; others may not.
class PeerFailed : public Error {
 public:
  using Error::Error;
};

class TorchPeers {
 public:
  // Starts the Python that TDDS_TORCH_PYTHON names, or python3. Throws UsageError where it does not start,
  // has no torch, or cannot use a GPU though `needs_gpu`.
  TorchPeers(int threads, bool needs_gpu);
  ~TorchPeers();

  const std::string& version() const { return version_; }
  bool has(const BenchOp& op) const { return !op.shape.empty() && ops_.contains(op.op.work.name); }

  struct Conditions {
    DeviceKind device;
    PrecisionKind precision;
    int batch;                // of the network
    int round;                // a new one has its operands in new memory
    std::size_t flush_bytes;  // what is gone through before each run; 0: the operands are hot
  };
  // Seconds of each run of PyTorch's op with operands as those of `op`, measured as sample() does. Throws
  // PeerFailed with PyTorch's message.
  std::vector<double> sample(const BenchOp& op, const Conditions& conditions, const SamplingLimits& limits);

 private:
  class Python;
  std::unique_ptr<Python> python_;
  std::string version_;
  std::set<std::string, std::less<>> ops_;  // names of those that PyTorch has
};

}  // namespace tdds
