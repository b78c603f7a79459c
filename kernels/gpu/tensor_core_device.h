#pragma once
// The functions of kernels/gpu/tensor_core.h for nvcc, which documents them. Included only by it. All of them
// exist from sm_80 on (PTX ISA: mma, ldmatrix, cp.async).
//
// Instructions that touch memory are volatile and have the clobber "memory", so that the compiler moves no
// access and no barrier across them.

namespace tdds::cuda {

// The address in the shared window, which these instructions take instead of a generic one.
__device__ inline std::uint32_t shared_address(const void* at) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}

template <class T>
__device__ void mma(Accumulator& c, const MatrixA<T>& a, const MatrixB<T>& b, Site = {}) {
  static_assert(kIsHalf<T>);
  if constexpr (std::is_same_v<T, half_t>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c.v[0]), "+f"(c.v[1]), "+f"(c.v[2]), "+f"(c.v[3])
        : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]), "r"(b.words[0]),
          "r"(b.words[1]));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c.v[0]), "+f"(c.v[1]), "+f"(c.v[2]), "+f"(c.v[3])
        : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]), "r"(b.words[0]),
          "r"(b.words[1]));
}

template <class T>
__device__ MatrixA<T> load_matrix_a(const T* at, Site = {}) {
  static_assert(kIsHalf<T>);
  MatrixA<T> a;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(a.words[0]), "=r"(a.words[1]), "=r"(a.words[2]), "=r"(a.words[3])
               : "r"(shared_address(at))
               : "memory");
  return a;
}

template <class T>
__device__ MatrixBPair<T> load_matrix_b(const T* at, Site = {}) {
  static_assert(kIsHalf<T>);
  MatrixBPair<T> b;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b.left.words[0]), "=r"(b.left.words[1]), "=r"(b.right.words[0]), "=r"(b.right.words[1])
               : "r"(shared_address(at))
               : "memory");
  return b;
}

template <class T>
__device__ MatrixBPair<T> load_matrix_b_transposed(const T* at, Site = {}) {
  static_assert(kIsHalf<T>);
  MatrixBPair<T> b;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b.left.words[0]), "=r"(b.left.words[1]), "=r"(b.right.words[0]), "=r"(b.right.words[1])
               : "r"(shared_address(at))
               : "memory");
  return b;
}

template <class T>
__device__ void copy_async16(T* to_shared, const T* from, Site = {}) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
               :
               : "r"(shared_address(to_shared)), "l"(__cvta_generic_to_global(from))
               : "memory");
}

__device__ inline void copy_async_commit(Site = {}) {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int kPending>
__device__ void copy_async_wait(Site = {}) {
  static_assert(kPending >= 0);
  asm volatile("cp.async.wait_group %0;" : : "n"(kPending) : "memory");
}

}  // namespace tdds::cuda
