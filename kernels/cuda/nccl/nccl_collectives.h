#pragma once
// Exchanges among the ranks' GPUs by NCCL. The library is loaded when it is used, because it is not part of
// every toolkit.

#include <memory>

#include "kernels/ranks/collectives.h"

namespace tdds {

// Collective. Throws Error where NCCL is missing or cannot connect the GPUs. `library`: its file; null: the
// first that is found of TDDS_NCCL in the environment, the linker's, and that of the build.
std::unique_ptr<Collectives> make_nccl_collectives(Device& device, Ranks& ranks,
                                                   const char* library = nullptr);

}  // namespace tdds
