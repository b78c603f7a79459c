#pragma once
// Softmax, cross-entropy, its gradient and the training dynamics of each sample, in one pass over the logits.
//
// Row b belongs to sample id = order[state->cursor + b]; no id occurs twice in a batch. With z = logits[b,:],
// y = label, m = max z, s' = the sum over the other classes of exp(z_c - m):
//
//   q         = s' / (1 + s') = 1 - p of the largest class
//   loss      = -log p_y, from log1p(s') and z_y - m
//   dlogits   = (p - target) * scale,  scale = loss_scale * batch_weight / B,
//               target = (1 - smoothing) onehot(y) + smoothing / K, PyTorch's label smoothing;
//               p_y - 1 is computed as minus the sum of the others
//   logp_c    = log(p_c + 1e-8), for the largest class computed as log1p(1e-8 - q)
//   kl        = sum_c | p_c * (logp_c - prev_logp[id,c]) |   (TDDS, arXiv 2311.13613: d_t)
//   true_kl   = sum_c p_c * (logp_c - prev_logp[id,c])
//               the Kullback-Leibler divergence itself, with epsilon: terms of opposite sign cancel, and the
//               rest is quadratic in a small change
//   log_other = log of the largest probability among the classes other than y
//   entropy   = -sum_c p_c log p_c
//   el2n      = || p - onehot(y) ||_2
//   correct   = argmax z == y, the lowest index of equal logits, as in PyTorch
//   in_top5   = fewer than 5 classes have a larger logit than y, or an equal one and a lower index
//
// then prev_logp[id,:] = logp. In epoch 0 (state->epoch) there is no previous visit: kl and true_kl are 0.
// Everything is fp32. The pointers in `out` and `prev_logp` may be null; that quantity is then neither
// computed nor written. Accuracy: every output is within 1e-5 relative of float64 at every confidence; kl and
// true_kl, which are differences of float32 logs, are within 1e-6 of sum_c p_c (|logp_c| + |prev_logp_c|).

#include <cstdint>

#include "kernels/ops/step_state.h"

namespace tdds {

class Stream;

// Per-sample results, by sample id; each may be null.
struct DynamicsView {
  float* kl = nullptr;              // [N]
  float* true_kl = nullptr;         // [N]
  float* loss = nullptr;            // [N]
  float* log_other = nullptr;       // [N]
  float* entropy = nullptr;         // [N]
  float* el2n = nullptr;            // [N]
  std::uint8_t* correct = nullptr;  // [N]
  std::uint8_t* in_top5 = nullptr;  // [N]
};

struct SoftmaxKlArgs {
  const float* logits = nullptr;         // in  [B,K]
  const std::int32_t* labels = nullptr;  // in  [N] by sample id, 0 .. K-1
  const std::int32_t* order = nullptr;   // in  sample ids in visiting order
  const StepState* state = nullptr;      // in  cursor, epoch
  float* dlogits = nullptr;              // out [B,K] or null
  float* prev_logp = nullptr;            // io  [N,K] by sample id, or null: no dynamics
  float* visit_logits =
      nullptr;  // out [n,K] in visiting order, row cursor + b, or null: as in `e_Output.npy`
  DynamicsView out = {};
  const float* batch_weight = nullptr;  // in  [1] or null for 1
  float loss_scale = 1;                 // 1 except for fp16
  float smoothing = 0;                  // 0 .. 1; affects only the gradient: the loss above stays -log p_y
  std::int32_t batch = 0, classes = 0;
};

// batch_weight = mean over the batch of weights[id]: the factor of the official train_subset.py.
struct BatchWeightArgs {
  const float* weights;       // in  [N] by sample id
  const std::int32_t* order;  // in
  const StepState* state;     // in  cursor
  float* batch_weight;        // out [1]
  std::int32_t batch;
};

void softmax_kl(Stream& stream, const SoftmaxKlArgs& args);
// Throws Error for arguments that softmax_kl refuses. Returns the least bytes that it moves.
double checked_bytes(const SoftmaxKlArgs& args);
void batch_weight(Stream& stream, const BatchWeightArgs& args);

}  // namespace tdds
