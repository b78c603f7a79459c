#pragma once
// Ranks that exist only in a plan: rank 0 of a training that is not run, which counts what it would exchange.

#include <cstddef>
#include <memory>

#include "kernels/ranks/collectives.h"
#include "kernels/ranks/ranks.h"
#include "kernels/runtime/check.h"

namespace tdds {

class PlannedRanks final : public Ranks {
 public:
  explicit PlannedRanks(int size) : Ranks({.rank = 0, .size = size, .on_machine = 0, .machine_size = size}) {}
  void all_gather(const void*, void*, std::size_t) override { not_planned(); }
  void all_to_all(const void*, void*, std::size_t) override { not_planned(); }
  void broadcast(void*, std::size_t) override { not_planned(); }
  void leave() override {}

 private:
  [[noreturn]] static void not_planned() { throw Error("PlannedRanks: a plan exchanges nothing"); }
};

// What the steps since the last reset exchange, in bytes of the whole array.
struct PlannedExchange {
  std::size_t summed_bytes = 0, gathered_bytes = 0;
};

class CountingCollectives final : public Collectives {
 public:
  CountingCollectives(PlannedExchange& counts, int ranks) : counts_(counts), ranks_(ranks) {}
  void all_gather(Stream&, void*, std::size_t slot_bytes) override {
    counts_.gathered_bytes += static_cast<std::size_t>(ranks_) * slot_bytes;
  }
  void sum(Stream&, void*, std::int64_t n, DType dtype) override {
    counts_.summed_bytes += static_cast<std::size_t>(n) * element_size(dtype);
  }
  void broadcast(Stream&, void*, std::size_t) override {}

 private:
  PlannedExchange& counts_;
  int ranks_;
};

// The bytes that each rank sends, and receives, at least: of a sum over R ranks 2 (R - 1) / R of the array,
// of a gathering (R - 1) / R (Patarasuk & Yuan 2009).
inline double least_traffic(const PlannedExchange& exchange, int ranks) {
  return (2.0 * static_cast<double>(exchange.summed_bytes) + static_cast<double>(exchange.gathered_bytes)) *
         (ranks - 1) / ranks;
}

}  // namespace tdds
