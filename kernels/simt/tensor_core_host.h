#pragma once
// The functions of kernels/gpu/tensor_core.h for the host compiler, which documents them. Included only by
// it.

#include "kernels/simt/async_copies.h"
#include "kernels/simt/warp_matrix.h"

namespace tdds::TDDS_GPU {

template <class T>
void mma(Accumulator& c, const MatrixA<T>& a, const MatrixB<T>& b, const Site& site = Site::current()) {
  static_assert(kIsHalf<T>);
  multiply_matrices<T>(c.v, a.words, b.words, site);
}

template <class T>
MatrixA<T> load_matrix_a(const T* at, const Site& site = Site::current()) {
  static_assert(kIsHalf<T>);
  MatrixA<T> a;
  load_matrices(at, false, a.words, site);
  return a;
}

template <bool kTransposed, class T>
MatrixBPair<T> load_matrix_pair(const T* at, const Site& site) {
  static_assert(kIsHalf<T>);
  std::uint32_t words[4];
  load_matrices(at, kTransposed, words, site);
  return {{{words[0], words[1]}}, {{words[2], words[3]}}};
}
template <class T>
MatrixBPair<T> load_matrix_b(const T* at, const Site& site = Site::current()) {
  return load_matrix_pair<false>(at, site);
}
template <class T>
MatrixBPair<T> load_matrix_b_transposed(const T* at, const Site& site = Site::current()) {
  return load_matrix_pair<true>(at, site);
}

template <class T>
void copy_async16(T* to_shared, const T* from, const Site& site = Site::current()) {
  begin_copy16(to_shared, from, site);
}
inline void copy_async_commit(const Site& = Site::current()) {
  commit_copies();
}
template <int kPending>
void copy_async_wait(const Site& = Site::current()) {
  static_assert(kPending >= 0);
  wait_for_copies(kPending);
}

}  // namespace tdds::TDDS_GPU
