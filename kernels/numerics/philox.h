#pragma once
// Counter-based random bits: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011). A draw depends only on (seed, purpose, epoch, index), so it is the same on every device, in any
// order and after a resume. The host and the kernels share this code (constexpr lets nvcc use it in both).

#include <cstdint>

namespace tdds {

// The purpose of a draw is part of the key, so that no two uses share bits.
enum class Purpose : std::uint32_t {
  kShuffle = 1,
  kAugment = 2,
  kInit = 3,
  kShapes = 4,
  kSelect = 5,
  kLabelNoise = 6,
  kHoldOut = 7,
  kCorrupt = 8,
  kCropBox = 9,
  kTakeShare = 10,
  kTest = 99
};

struct PhiloxWords {
  std::uint32_t w[4];
};

constexpr PhiloxWords philox(std::uint64_t seed, Purpose purpose, std::uint32_t epoch, std::uint64_t index) {
  std::uint32_t c0 = static_cast<std::uint32_t>(index), c1 = static_cast<std::uint32_t>(index >> 32);
  std::uint32_t c2 = epoch, c3 = static_cast<std::uint32_t>(purpose);
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(0xD2511F53u) * c0;
    const std::uint64_t p1 = static_cast<std::uint64_t>(0xCD9E8D57u) * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// An integer in 0 .. n - 1. The bias is below n / 2^32.
constexpr std::uint32_t scaled(std::uint32_t word, std::uint32_t n) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(word) * n) >> 32);
}

// In (0, 1): never 0, so that a logarithm is finite.
constexpr double unit(std::uint32_t word) {
  return (word + 0.5) * (1.0 / 4294967296.0);
}

}  // namespace tdds
