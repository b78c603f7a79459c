#pragma once
// Sorting by CUB (kernels/ops/sort.h has the contract).

#include <cstddef>
#include <cstdint>

namespace tdds::cuda {

std::size_t sort_workspace_bytes(std::int64_t n);

}  // namespace tdds::cuda
