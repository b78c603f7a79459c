#pragma once
// The KL of TDDS between two visits of a sample, from recorded logits: d_t of docs/architecture.md 7.2,
//
//   d = sum_c | p_c * ( log(p_c + 1e-8) - log(p'_c + 1e-8) ) |,   p now, p' at the previous visit
//
// evaluated in double from the logits of both visits, a vector of classes at a time. It is within 1e-6 of the
// exact value at every confidence, even where a sample hardly changes. (The op softmax_kl, which sees each
// logit once during training, keeps the previous visit as float32 logarithms instead.)

#include <cstdint>

namespace tdds::cpu {

// What a visit's softmax needs besides the logits to be exact.
struct VisitNorm {
  double rest;       // sum over the other classes of exp(z_c - z_top)
  std::int32_t top;  // the class of the largest logit
};

struct KlRowsArgs {
  const float* logits;      // in  [rows,K]
  const std::int64_t* ids;  // in  [rows] sample ids, each once
  float* previous_logits;   // io  [N,K] by sample id: replaced by the logits of this visit
  VisitNorm* previous;      // io  [N]
  double* kl;               // out [N] by sample id; null at the first visit: nothing previous is read
  double* scratch;          // [2K]
  std::int64_t rows;
  std::int32_t classes;  // K >= 2
};

// Runs on the calling thread only. Stops at the first row with a logit that is not finite and returns it;
// otherwise returns -1.
std::int64_t kl_rows(const KlRowsArgs& args);

}  // namespace tdds::cpu
