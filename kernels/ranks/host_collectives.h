#pragma once
// Exchanges among the ranks where a device's memory is the host's.

#include <memory>

#include "kernels/ranks/collectives.h"

namespace tdds {

std::unique_ptr<Collectives> make_host_collectives(Device& device, Ranks& ranks);

}  // namespace tdds
