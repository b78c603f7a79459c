#pragma once
// How batch norm gets the statistics of a batch of which its pass computes a part (engine/data_parallel.h).
// For each batch norm, in the order of the pass, mine() is filled and gather() called. Every rank makes the
// same calls of gather().

#include <cstdint>

#include "kernels/ops/batchnorm.h"

namespace tdds {

class Stream;

class StatisticsExchange {
 public:
  virtual ~StatisticsExchange() = default;

  // Where this rank leaves what it found of its rows, [2][channels]. The next layer overwrites it.
  virtual float* mine(std::int32_t channels) = 0;
  // What all ranks have left, for batches of `images` images of `positions` rows each.
  virtual BatchNormPartials gather(Stream& stream, std::int32_t channels, std::int32_t images,
                                   std::int64_t positions) = 0;
};

// The batch whose statistics batch norm takes.
struct WholeBatch {
  StatisticsExchange* exchange = nullptr;  // null: that of the pass
  std::int32_t images = 0;                 // of all ranks

  bool operator==(const WholeBatch&) const = default;
};

}  // namespace tdds
