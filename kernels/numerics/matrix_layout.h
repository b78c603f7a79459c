#pragma once
// Which elements of a matrix each lane of a warp holds for the tensor cores' m16n8k16 with 16-bit operands
// (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type", section 9.7.14.5.8). The lanes form
// 8 groups of 4. A lane holds pairs of neighbours, the even one in the low half of a 32-bit word.
//
//        A 16 x 16 (row, k)       B 16 x 8 (k, column)       accumulator 16 x 8
//        k 0-7    8-15                 columns                    columns
//   rows 0-7   a0 a1   a4 a5        k 0-7    b0 b1           rows 0-7    v0 v1
//   rows 8-15  a2 a3   a6 a7        k 8-15   b2 b3           rows 8-15   v2 v3
//
// Within 8 x 8 elements a group has one row of A and of the accumulator, or one column of B, and each of its
// lanes has two neighbours of it.

#include <cstdint>

namespace tdds {

struct MatrixPlace {
  std::uint32_t row, column;
};

inline constexpr std::uint32_t kLanesOfGroup = 4;  // lanes

// The place of element i = 0 .. 7 of A.
constexpr MatrixPlace a_place(std::uint32_t lane, std::uint32_t i) {
  return {lane / kLanesOfGroup + i / 2 % 2 * 8, lane % kLanesOfGroup * 2 + i % 2 + i / 4 * 8};
}
// The place of element i = 0 .. 3 of B; its row is k.
constexpr MatrixPlace b_place(std::uint32_t lane, std::uint32_t i) {
  return {lane % kLanesOfGroup * 2 + i % 2 + i / 2 * 8, lane / kLanesOfGroup};
}
// The place of element i = 0 .. 3 of the accumulator.
constexpr MatrixPlace accumulator_place(std::uint32_t lane, std::uint32_t i) {
  return {lane / kLanesOfGroup + i / 2 * 8, lane % kLanesOfGroup * 2 + i % 2};
}

}  // namespace tdds
