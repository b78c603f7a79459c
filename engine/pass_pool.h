#pragma once
// The passes of one network, one per batch size and mode. They never run at the same time, so they share
// their memory: three arenas, as large as the largest pass needs.

#include <memory>
#include <vector>

#include "engine/arena.h"
#include "engine/net.h"

namespace tdds {

class PassPool {
 public:
  PassPool(Device& device, Net& net) : device_(device), net_(net) {}

  // Builds the pass and its plans, or returns an equal one. Call it before place().
  Pass& add(const PassSpec& spec);

  // The memory that a pass would take alone.
  std::size_t bytes_of(const PassSpec& spec) const;

  // Binds every pass dry, allocates the arenas, and binds every pass to them.
  void place();

  std::size_t saved_bytes() const { return saved_.bytes(); }
  std::size_t scratch_bytes() const { return scratch_.bytes(); }

 private:
  Device& device_;
  Net& net_;
  std::vector<std::pair<PassSpec, std::unique_ptr<Pass>>> passes_;
  Arena saved_{"saved activations"}, scratch_{"gradients and workspace"}, tickets_{"tickets"};
  bool placed_ = false;
};

}  // namespace tdds
