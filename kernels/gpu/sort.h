#pragma once
// Sorting by CUB (kernels/sort.h has the contract). On `simt` the CPU's sort stands in for it.

#include <cstddef>
#include <cstdint>

#include "kernels/sort.h"

namespace tdds {

class Stream;

namespace cuda {
std::size_t sort_workspace_bytes(std::int64_t n);
void sort_by_score(Stream& stream, const SortArgs& args);
}  // namespace cuda

}  // namespace tdds
