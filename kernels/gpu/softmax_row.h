#pragma once
// Softmax, cross-entropy and dynamics of one row by a warp or a block; formulas in kernels/ops/softmax_kl.h.
// The lanes divide the classes. A lane sums its terms in ascending order, then a fixed tree.

#include "kernels/gpu/gpu.h"
#include "kernels/ops/softmax_kl.h"

namespace tdds::TDDS_GPU {

inline constexpr float kLogEps = 1e-8f;
// The reciprocal of a smaller value would overflow. For so confident a sample the other classes are
// negligible.
inline constexpr float kTinySum = 1e-37f;
inline constexpr std::int32_t kWarpClasses = 1024;  // the most classes that a warp processes

// The results of the first two passes over a row.
struct RowStats {
  ArgMax best;      // the largest logit
  float sum;        // s': the sum of exp(z_c - m) over all classes but the largest
  float log_total;  // log1p(s')
  float others;     // the sum of exp(z_c - m) over all classes but y
};

struct RowSums {
  float kl, true_kl, entropy, el2n;
};

template <Group G>
__device__ RowStats row_stats(const float* z, std::int32_t label, std::int32_t classes) {
  ArgMax mine = kNoArgMax;
  for (std::int32_t c = rank_in<G>(); c < classes; c += size_of_group<G>())
    mine = argmax(mine, ArgMax{z[c], c});
  RowStats row;
  row.best = group_argmax<G>(mine);
  float sum = 0;
  for (std::int32_t c = rank_in<G>(); c < classes; c += size_of_group<G>())
    if (c != row.best.index) sum += expf(z[c] - row.best.value);
  row.sum = group_sum<G>(sum);
  row.log_total = log1pf(row.sum);
  row.others = label == row.best.index ? row.sum : 1.0f + (row.sum - expf(z[label] - row.best.value));
  return row;
}

// log(p + eps). A probability above 1/2 is computed from its complement q, which keeps its digits where p is
// near 1.
__device__ inline float log_probability(float p, float q, bool largest) {
  return largest && q < 0.5f ? log1pf(kLogEps - q) : logf(p + kLogEps);
}

template <Group G>
__device__ RowSums write_classes(const SoftmaxKlArgs& args, const RowStats& row, std::int64_t b,
                                 std::int64_t id, std::int32_t label) {
  const float* z = args.logits + b * args.classes;
  const float weight = args.batch_weight ? *args.batch_weight : 1.0f;
  const float scale = args.loss_scale * weight / static_cast<float>(args.batch);
  const float total = 1.0f + row.sum, per_total = 1.0f / total;
  const float share = args.smoothing / static_cast<float>(args.classes);
  const float label_miss = row.others / total, top_miss = row.sum / total;
  const float per_others = row.others > kTinySum ? 1.0f / row.others : 0.0f;
  const bool first_visit = args.state->epoch == 0;
  float* logp_row = args.prev_logp ? args.prev_logp + id * args.classes : nullptr;
  float* visit = args.visit_logits ? args.visit_logits + (args.state->cursor + b) * args.classes : nullptr;
  float kl = 0, true_kl = 0, entropy = 0, squares = 0;
  for (std::int32_t c = rank_in<G>(); c < args.classes; c += size_of_group<G>()) {
    const float below = row.best.value - z[c];
    const bool largest = c == row.best.index;
    const float e = largest ? 1.0f : expf(-below);
    const float p = e * per_total;
    if (args.dlogits)
      args.dlogits[b * args.classes + c] = ((c == label ? args.smoothing - label_miss : p) - share) * scale;
    if (logp_row) {
      const float logp = log_probability(p, top_miss, largest);
      if (!first_visit) {
        const float term = p * (logp - logp_row[c]);
        kl += fabsf(term);
        true_kl += term;
      }
      logp_row[c] = logp;
    }
    if (visit) visit[c] = z[c];
    if (p > 0) entropy += p * (below + row.log_total);
    const float part = c != label ? e * per_others : 0.0f;
    squares += part * part;
  }
  // || p - onehot ||: the entry of the label is minus the sum of the other entries. That sum is factored out,
  // so that no square underflows.
  return {group_sum<G>(kl), group_sum<G>(true_kl), group_sum<G>(entropy),
          label_miss * sqrtf(1.0f + group_sum<G>(squares))};
}

template <Group G>
__device__ float largest_other(const float* z, const RowStats& row, std::int32_t label,
                               std::int32_t classes) {
  float largest = -kInfinity;
  for (std::int32_t c = rank_in<G>(); c < classes; c += size_of_group<G>())
    if (c != label) largest = z[c] > largest ? z[c] : largest;
  return group_max<G>(largest) - row.best.value - row.log_total;
}

// The number of classes before the label in the order of the logits.
template <Group G>
__device__ std::int32_t rank_of_label(const float* z, std::int32_t label, std::int32_t classes) {
  std::int32_t before = 0;
  for (std::int32_t c = rank_in<G>(); c < classes; c += size_of_group<G>())
    before += z[c] > z[label] || (z[c] == z[label] && c < label) ? 1 : 0;
  return group_sum<G>(before);
}

// All threads of the group call it with the same row b.
template <Group G>
__device__ void softmax_row(const SoftmaxKlArgs& args, std::int64_t b) {
  const std::int64_t id = args.order[args.state->cursor + b];
  const std::int32_t label = args.labels[id];
  const float* z = args.logits + b * args.classes;
  const RowStats row = row_stats<G>(z, label, args.classes);
  const RowSums sums = write_classes<G>(args, row, b, id, label);
  const DynamicsView& out = args.out;
  if (out.log_other) {
    const float log_other = largest_other<G>(z, row, label, args.classes);
    if (rank_in<G>() == 0) out.log_other[id] = log_other;
  }
  if (out.in_top5) {
    const std::int32_t rank = rank_of_label<G>(z, label, args.classes);
    if (rank_in<G>() == 0) out.in_top5[id] = rank < 5;
  }
  if (rank_in<G>() != 0) return;
  if (out.kl) out.kl[id] = sums.kl;
  if (out.true_kl) out.true_kl[id] = sums.true_kl;
  if (out.loss) out.loss[id] = row.best.value - z[label] + row.log_total;
  if (out.entropy) out.entropy[id] = sums.entropy;
  if (out.el2n) out.el2n[id] = sums.el2n;
  if (out.correct) out.correct[id] = row.best.index == label;
}

}  // namespace tdds::TDDS_GPU
