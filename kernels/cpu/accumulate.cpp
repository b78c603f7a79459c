#include "kernels/accumulate.h"

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/storage.h"
#include "kernels/host_stream.h"

namespace tdds::cpu {
namespace {

// Parameters that one thread takes at a time.
constexpr std::int64_t kBlock = 16384;

void run_accumulate(const AccumulateArgs& args) {
  with_storage(args.dtype, [&]<class T>(T) {
    const auto* gradient = static_cast<const T*>(args.gradient);
    parallel_blocks(args.n, kBlock, [&](std::int64_t begin, std::int64_t end) {
      if (args.first)
        for (std::int64_t i = begin; i < end; ++i) args.sum[i] = to_float(gradient[i]);
      else
        for (std::int64_t i = begin; i < end; ++i) args.sum[i] += to_float(gradient[i]);
    });
  });
}

}  // namespace

void accumulate(Stream& stream, const AccumulateArgs& args) {
  check_storage("accumulate", "gradients", args.dtype);
  check(args.n >= 0, "accumulate: {} gradients; a count is at least 0", args.n);
  check(args.gradient && args.sum, "accumulate: no pointer may be null");
  enqueue(stream, "accumulate", args, run_accumulate);
}

}  // namespace tdds::cpu
