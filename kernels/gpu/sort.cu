// Sample ids by ascending score; contract in kernels/ops/sort.h. The kernels are CUB's, so this file is not
// compiled for simt.
//
// Parallel over: tiles of a few thousand scores, one per block, in each of four passes over 8 bits of the
//                score.
// Held in:       registers and shared memory; the histograms and a second copy in the workspace.
// Bytes per row: 16 in each pass, for score and id read and written.
// Deterministic: a radix sort is stable and does not compare scores with each other.

#include "kernels/gpu/sort.h"

#include <cub/device/device_radix_sort.cuh>

#include "kernels/cuda/check_cuda.h"
#include "kernels/cuda/command.h"
#include "kernels/ops/run.h"
#include "kernels/ops/sort.h"

namespace tdds::cuda {

std::size_t sort_workspace_bytes(std::int64_t n) {
  std::size_t bytes = 0;
  const float* score = nullptr;
  const std::int32_t* ids = nullptr;
  CHECK_CUDA(cub::DeviceRadixSort::SortPairs(nullptr, bytes, score, static_cast<float*>(nullptr), ids,
                                             static_cast<std::int32_t*>(nullptr), static_cast<int>(n)));
  return bytes;
}

template <>
void run(Stream& stream, const SortArgs& args) {
  CudaCommand command(stream, "sort_by_score");
  std::size_t bytes = args.workspace_bytes;
  CHECK_CUDA(cub::DeviceRadixSort::SortPairs(args.workspace, bytes, args.score, args.sorted_score, args.ids,
                                             args.sorted_ids, static_cast<int>(args.n), 0, 32,
                                             command.stream()));
  command.finish();
}

}  // namespace tdds::cuda
