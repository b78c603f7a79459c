#include "kernels/ops/linear.h"

#include <algorithm>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/plans.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

// Output rows that a thread computes at a time. Each group is one sequential product, so the sums do not
// depend on the number of threads.
constexpr std::int64_t kRows = 16;

template <class Body>
void for_row_groups(std::int64_t rows, std::int64_t products, const Body& body) {
  bool done = true;
  if (threads_for(products / kProductsAValue) == 1) {
    const OneThread guard;
    for (std::int64_t first = 0; first < rows; first += kRows)
      done = body(first, std::min(kRows, rows - first)) && done;
  } else {
#pragma omp parallel for schedule(static) reduction(&& : done)
    for (std::int64_t first = 0; first < rows; first += kRows)
      done = body(first, std::min(kRows, rows - first)) && done;
  }
  check(done, "linear: not enough memory for a product of {} rows", rows);
}

struct ForwardArgs {
  LinearSpec spec;
  const float *x, *w, *b;
  float* y;
};

struct BackwardArgs {
  LinearSpec spec;
  const float *x, *w, *dy;
  float *dx, *dw, *db;
};

void run_forward(const ForwardArgs& args) {
  const std::int64_t c = args.spec.in_features, k = args.spec.out_features;
  for_row_groups(args.spec.batch, args.spec.batch * c * k, [&](std::int64_t first, std::int64_t rows) {
    float* const y = args.y + first * k;
    for (std::int64_t row = 0; row < rows; ++row) std::copy_n(args.b, k, y + row * k);
    return onednn::multiply(rows, k, c, {args.x + first * c, c, false}, {args.w, c, true}, 1, y, k);
  });
}

void run_backward(const BackwardArgs& args) {
  const std::int64_t batch = args.spec.batch, c = args.spec.in_features, k = args.spec.out_features;
  for_row_groups(batch, batch * c * k, [&](std::int64_t first, std::int64_t rows) {
    return onednn::multiply(rows, c, k, {args.dy + first * k, k, false}, {args.w, c, false}, 0,
                            args.dx + first * c, c);
  });
  for_row_groups(k, batch * c * k, [&](std::int64_t first, std::int64_t rows) {
    const bool done = onednn::multiply(rows, c, batch, {args.dy + first, k, true}, {args.x, c, false}, 0,
                                       args.dw + first * c, c);
    for (std::int64_t row = first; row < first + rows; ++row) {
      double sum = 0;
      for (std::int64_t image = 0; image < batch; ++image) sum += args.dy[image * k + row];
      args.db[row] = static_cast<float>(sum);
    }
    return done;
  });
}

class CpuLinear final : public Linear {
 public:
  using Linear::Linear;

  void forward(Stream& stream, const float* x, const float* w, const float* b, float* y) override {
    enqueue<ForwardArgs>(stream, "linear_forward", {spec(), x, w, b, y}, run_forward);
  }
  void backward(Stream& stream, const float* x, const float* w, const float* dy, float* dx, float* dw,
                float* db) override {
    enqueue<BackwardArgs>(stream, "linear_backward", {spec(), x, w, dy, dx, dw, db}, run_backward);
  }
};

}  // namespace

void linear_forward(const LinearSpec& spec, const float* x, const float* w, const float* b, float* y) {
  run_forward({spec, x, w, b, y});
}
void linear_backward(const LinearSpec& spec, const float* x, const float* w, const float* dy, float* dx,
                     float* dw, float* db) {
  run_backward({spec, x, w, dy, dx, dw, db});
}

std::unique_ptr<Linear> make_linear(Device&, const LinearSpec& spec) {
  return std::make_unique<CpuLinear>(spec);
}

}  // namespace tdds::cpu
