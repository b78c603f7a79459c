#include "kernels/ops/accumulate.h"

#include "kernels/cpu/storage.h"
#include "kernels/ops/run.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

// Parameters that one thread processes at a time.
constexpr std::int64_t kBlock = 16384;

}  // namespace

template <>
void run(const AccumulateArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) {
    const auto* gradient = static_cast<const T*>(args.gradient);
    parallel_blocks(args.n, kBlock, 2, [&](std::int64_t begin, std::int64_t end) {
      if (args.first)
        for (std::int64_t i = begin; i < end; ++i) args.sum[i] = to_float(gradient[i]);
      else
        for (std::int64_t i = begin; i < end; ++i) args.sum[i] += to_float(gradient[i]);
    });
  });
}

}  // namespace tdds::cpu
