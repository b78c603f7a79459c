#include "kernels/ops/softmax_kl.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/ops/run.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/parallel.h"

namespace tdds::cpu {
namespace {

constexpr double kEpsilon = 1e-8;

// Rows are evaluated in double, whose cost is negligible next to the convolutions. The only rounding is then
// that of the float32 results.
struct Row {
  const float* z;
  std::int32_t classes, label, top;  // top: argmax
  double log1p_rest;                 // log(sum exp(z - max)) = -log p of the top class
  double top_miss, label_miss;  // 1 - p of the top class and of the label, never computed as a difference
  const double* p;              // [classes]

  double log_p(std::int32_t c) const { return (static_cast<double>(z[c]) - z[top]) - log1p_rest; }
};

// p: room for the probabilities of the row.
Row make_row(const float* z, std::int32_t classes, std::int32_t label, double* p) {
  Row row{z, classes, label, 0, 0, 0, 0, p};
  for (std::int32_t c = 1; c < classes; ++c)
    if (z[c] > z[row.top]) row.top = c;
  const double max = z[row.top];
  double others_of_top = 0, others_of_label = 0;
  for (std::int32_t c = 0; c < classes; ++c) {
    const double e = c == row.top ? 1.0 : std::exp(z[c] - max);
    if (c != row.top) others_of_top += e;
    if (c != label) others_of_label += e;
  }
  row.log1p_rest = std::log1p(others_of_top);
  row.top_miss = others_of_top / (1 + others_of_top);
  row.label_miss = others_of_label / (1 + others_of_top);
  for (std::int32_t c = 0; c < classes; ++c)
    p[c] = c == row.top ? 1.0 - row.top_miss : std::exp(row.log_p(c));
  return row;
}

void write_dlogits(const Row& row, double smoothing, double scale, float* dlogits) {
  const double share = smoothing / row.classes;  // each class's part of the target; y gets the rest as well
  for (std::int32_t c = 0; c < row.classes; ++c)
    dlogits[c] =
        static_cast<float>(((c == row.label ? smoothing - row.label_miss : row.p[c]) - share) * scale);
}

bool in_top5(const Row& row) {
  const float own = row.z[row.label];
  std::int32_t before = 0;
  for (std::int32_t c = 0; c < row.classes; ++c)
    before += row.z[c] > own || (row.z[c] == own && c < row.label) ? 1 : 0;
  return before < 5;
}

struct Divergence {
  double kl = 0, true_kl = 0;
};

// Both operands of the difference are float32, the type that is stored, so equal logits give exactly 0.
Divergence exchange_logp(const Row& row, float* prev_logp) {
  Divergence sum;
  for (std::int32_t c = 0; c < row.classes; ++c) {
    const double p = row.p[c];
    const float logp =
        static_cast<float>(c == row.top ? std::log1p(kEpsilon - row.top_miss) : std::log(p + kEpsilon));
    const double term = p * (static_cast<double>(logp) - prev_logp[c]);
    sum.kl += std::abs(term);
    sum.true_kl += term;
    prev_logp[c] = logp;
  }
  return sum;
}

double log_largest_other(const Row& row) {
  if (row.label != row.top) return -row.log1p_rest;
  std::int32_t second = row.top == 0 ? 1 : 0;
  for (std::int32_t c = second + 1; c < row.classes; ++c)
    if (c != row.top && row.z[c] > row.z[second]) second = c;
  return row.log_p(second);
}

double entropy(const Row& row) {
  double sum = 0;
  for (std::int32_t c = 0; c < row.classes; ++c) {
    const double p = row.p[c];
    // 0 log 0 = 0, even where the logit is -infinity.
    if (p != 0) sum -= p * row.log_p(c);
  }
  return sum;
}

double el2n(const Row& row) {
  double sum = row.label_miss * row.label_miss;
  for (std::int32_t c = 0; c < row.classes; ++c) {
    const double p = row.p[c];
    if (c != row.label) sum += p * p;
  }
  return std::sqrt(sum);
}

void run_row(const SoftmaxKlArgs& args, double scale, std::int64_t b) {
  const std::int64_t classes = args.classes, visit = args.state->cursor + b;
  const std::int64_t id = args.order[visit];
  thread_local std::vector<double> probabilities;
  probabilities.resize(static_cast<std::size_t>(classes));
  const Row row = make_row(args.logits + b * classes, args.classes, args.labels[id], probabilities.data());
  if (args.dlogits) write_dlogits(row, args.smoothing, scale, args.dlogits + b * classes);
  if (args.visit_logits) std::memcpy(args.visit_logits + visit * classes, row.z, classes * sizeof(float));
  if (args.prev_logp) {
    Divergence change = exchange_logp(row, args.prev_logp + id * classes);
    if (args.state->epoch == 0) change = {};
    if (args.out.kl) args.out.kl[id] = static_cast<float>(change.kl);
    if (args.out.true_kl) args.out.true_kl[id] = static_cast<float>(change.true_kl);
  }
  if (args.out.loss) args.out.loss[id] = static_cast<float>(-row.log_p(row.label));
  if (args.out.log_other) args.out.log_other[id] = static_cast<float>(log_largest_other(row));
  if (args.out.entropy) args.out.entropy[id] = static_cast<float>(entropy(row));
  if (args.out.el2n) args.out.el2n[id] = static_cast<float>(el2n(row));
  if (args.out.correct) args.out.correct[id] = row.top == row.label;
  if (args.out.in_top5) args.out.in_top5[id] = in_top5(row);
}

void check_batch(const SoftmaxKlArgs& args) {
  const std::int32_t* begin = args.order + args.state->cursor;
  std::vector<std::int32_t> ids(begin, begin + args.batch);
  std::sort(ids.begin(), ids.end());
  check(ids.front() >= 0, "softmax_kl: the order contains sample id {}; ids start at 0", ids.front());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  check(twice == ids.end(), "softmax_kl: sample {} occurs twice in one batch; an epoch visits a sample once",
        twice == ids.end() ? 0 : *twice);
  for (const std::int32_t id : ids)
    check(args.labels[id] >= 0 && args.labels[id] < args.classes,
          "softmax_kl: sample {} has label {}, but the network has classes 0 to {}", id, args.labels[id],
          args.classes - 1);
}

// The cost of an exponential and two logarithms per class, in values of simple arithmetic.
constexpr std::int64_t kExpWork = 32;

}  // namespace

template <>
void run(const SoftmaxKlArgs& args) {
  check_batch(args);
  const double weight = args.batch_weight ? *args.batch_weight : 1.0;
  const double scale = args.loss_scale * weight / args.batch;
  parallel_for(args.batch, kExpWork * args.classes, [&](std::int64_t b) { run_row(args, scale, b); });
}

template <>
void run(const BatchWeightArgs& args) {
  double sum = 0;
  for (std::int32_t b = 0; b < args.batch; ++b) sum += args.weights[args.order[args.state->cursor + b]];
  *args.batch_weight = static_cast<float>(sum / args.batch);
}

}  // namespace tdds::cpu
