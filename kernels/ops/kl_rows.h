#pragma once
// The KL of TDDS between two visits of a sample, from recorded logits: d_t of docs/architecture.md 7.2,
//
//   d = sum_c | p_c * ( log(p_c + 1e-8) - log(p'_c + 1e-8) ) |,   p now, p' at the previous visit
//
// evaluated in double from the logits of both visits, a vector of classes at a time: within 1e-6 of the exact
// value at every confidence, also where a sample hardly moves. (The op softmax_kl, which sees each logit once
// during training, keeps the previous visit as float32 logarithms instead.)

#include <cstdint>

namespace tdds::cpu {

// What makes a visit's softmax exact beside its logits.
struct VisitNorm {
  double rest;       // sum over the other classes of exp(z_c - z_top)
  std::int32_t top;  // the class of the largest logit
};

struct KlRowsArgs {
  const float* logits;      // in  [rows,K]
  const std::int64_t* ids;  // in  [rows] sample ids, each once
  float* previous_logits;   // io  [N,K] by sample id: replaced by this visit's
  VisitNorm* previous;      // io  [N]
  double* kl;               // out [N] by sample id; null at the first visit: nothing previous is read
  double* scratch;          // [2K]
  std::int64_t rows;
  std::int32_t classes;  // K >= 2
};

// Works on the calling thread alone. Returns the first row with a logit that is not finite, where it stops,
// or -1.
std::int64_t kl_rows(const KlRowsArgs& args);

}  // namespace tdds::cpu
