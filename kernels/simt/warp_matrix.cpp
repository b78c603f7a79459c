#include "kernels/simt/warp_matrix.h"

#include <cstring>

#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/matrix_layout.h"
#include "kernels/simt/access_recorder.h"
#include "kernels/simt/async_copies.h"

namespace tdds::simt {
namespace {

constexpr std::uint32_t kRows = 16, kInner = 16, kColumns = 8;

struct Operands {
  float* c;
  const std::uint32_t *a, *b;
};

// Element i of a lane's words.
template <class T>
T element(const std::uint32_t* words, std::uint32_t i) {
  return {static_cast<std::uint16_t>(words[i / 2] >> (i % 2 * 16))};
}

// Converts a whole matrix, in vectors.
template <std::uint32_t kCount, class T>
void convert(const T (&from)[kCount], float (&to)[kCount]) {
  for (std::uint32_t i = 0; i < kCount; ++i) to[i] = to_float(from[i]);
}

template <class T>
void multiply(void* const* values, std::uint32_t) {
  T stored_a[kRows * kInner], stored_b[kInner * kColumns];
  for (std::uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const Operands& of = *static_cast<const Operands*>(values[lane]);
    for (std::uint32_t i = 0; i < 8; ++i) {
      const MatrixPlace at = a_place(lane, i);
      stored_a[at.row * kInner + at.column] = element<T>(of.a, i);
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
      const MatrixPlace at = b_place(lane, i);
      stored_b[at.row * kColumns + at.column] = element<T>(of.b, i);
    }
  }
  float a[kRows * kInner], b[kInner * kColumns];
  convert(stored_a, a);
  convert(stored_b, b);
  float sums[kRows * kColumns] = {};
  for (std::uint32_t row = 0; row < kRows; ++row)
    for (std::uint32_t k = 0; k < kInner; ++k)
      for (std::uint32_t column = 0; column < kColumns; ++column)
        sums[row * kColumns + column] += a[row * kInner + k] * b[k * kColumns + column];
  for (std::uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const Operands& of = *static_cast<const Operands*>(values[lane]);
    for (std::uint32_t i = 0; i < 4; ++i) {
      const MatrixPlace at = accumulator_place(lane, i);
      of.c[i] += sums[at.row * kColumns + at.column];
    }
  }
}

struct Rows {
  const std::byte* at;
  std::uint32_t* words;
};

template <bool kTransposed>
void distribute(void* const* values, std::uint32_t) {
  for (std::uint32_t matrix = 0; matrix < 4; ++matrix) {
    std::uint16_t elements[8][8];
    for (std::uint32_t row = 0; row < 8; ++row)
      std::memcpy(elements[row], static_cast<const Rows*>(values[matrix * 8 + row])->at,
                  sizeof(elements[row]));
    for (std::uint32_t lane = 0; lane < kWarpSize; ++lane) {
      const std::uint32_t group = lane / kLanesOfGroup, first = lane % kLanesOfGroup * 2;
      const std::uint16_t low = kTransposed ? elements[first][group] : elements[group][first];
      const std::uint16_t high = kTransposed ? elements[first + 1][group] : elements[group][first + 1];
      static_cast<const Rows*>(values[lane])->words[matrix] = low | std::uint32_t{high} << 16;
    }
  }
}

}  // namespace

template <class T>
void multiply_matrices(float* c, const std::uint32_t* a, const std::uint32_t* b, const Site& site) {
  Operands operands{c, a, b};
  collective(Group::kWarp, Meeting::kMma, &operands, multiply<T>, site);
}
template void multiply_matrices<half_t>(float*, const std::uint32_t*, const std::uint32_t*, const Site&);
template void multiply_matrices<bf16_t>(float*, const std::uint32_t*, const std::uint32_t*, const Site&);

void load_matrices(const void* at, bool transposed, std::uint32_t* words, const Site& site) {
  check_shared_by_warp(at, site);
  if (AccessRecorder* recorder = current_thread->recorder)
    recorder->access(__builtin_return_address(0), at, AsyncCopies::kBytes, AccessKind::kLoad);
  Rows rows{static_cast<const std::byte*>(at), words};
  collective(Group::kWarp, Meeting::kLoadMatrix, &rows, transposed ? distribute<true> : distribute<false>,
             site);
}

}  // namespace tdds::simt
