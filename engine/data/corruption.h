#pragma once
// The stress tests of the TDDS paper: corrupted images and wrong labels. They use integer arithmetic on
// Philox draws keyed by (seed, sample id), so results are the same on every machine and for any number of
// threads.
//
//   gaussian_noise  each value plus noise of standard deviation 38 (of 255), from eight uniform draws
//   occlusion       a black square of half the image's side at a drawn place
//   resolution      blocks of an eighth of the side (at least 2 pixels) become their mean
//   fog             blended with white by 40 % to 80 %, which varies smoothly over the image
//   motion_blur     the mean along a line of a quarter of the side in one of four directions

#include <array>
#include <cstdint>

namespace tdds {

enum class Corruption : std::uint8_t { kGaussianNoise, kOcclusion, kResolution, kFog, kMotionBlur };
inline constexpr std::array kCorruptions{Corruption::kGaussianNoise, Corruption::kOcclusion,
                                         Corruption::kResolution, Corruption::kFog, Corruption::kMotionBlur};

const char* to_string(Corruption kind);

// Changes the pixels [height,width,3] in place.
void corrupt_image(Corruption kind, std::uint64_t seed, std::uint64_t id, int height, int width,
                   std::uint8_t* pixels);

struct Dataset;
struct DatasetOptions;
// Gives round(label_noise * N) rows the label of another class, drawn uniformly. Fills Dataset::truth.
void add_label_noise(Dataset& dataset, const DatasetOptions& options);
// Corrupts round(corrupt_fraction * N) training images, each by a kind drawn from options.corrupt. Fills
// Dataset::truth.
void corrupt_images(Dataset& dataset, const DatasetOptions& options);
// Throws UsageError for shares outside 0 .. 1.
void check_corruption(const DatasetOptions& options);

}  // namespace tdds
