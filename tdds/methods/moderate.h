#pragma once
// Moderate coreset (Xia et al. 2023): keeps the samples at a medium distance from their class's centre.
//
// With h the features of the finished net (inference mode, no augmentation) and c_y the median of class y,
// taken in each dimension, let r be the rank, from 0, of || h - c_y ||_2 among all samples, ties by id. The
// score is - | r - (N - 1) / 2 |, so that the highest are the band around the middle, as in the authors'
// selection.py. (Their paper has the mean in place of the median.)

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "engine/io/dynamics_store.h"

namespace tdds {

// `<run>/features.safetensors`: tensor "features", float32 [N, F] by sample id. The metadata identify the
// run.
struct Features {
  std::vector<float> values;
  std::int64_t samples = 0, width = 0;
  std::int32_t epochs = 0;  // of the net's training
};
std::filesystem::path features_beside(const std::filesystem::path& store);
void write_features(const std::filesystem::path& path, const DynamicsHeader& run, const Features& features);
// Throws Error if the file is absent, damaged, or not of `run` after `epochs` epochs.
Features read_features(const std::filesystem::path& path, const DynamicsHeader& run, std::int32_t epochs);

// [N] by sample id. labels [N] in 0 .. classes-1; a class may be empty. Throws Error if a feature is not
// finite.
std::vector<float> moderate_scores(const Features& features, std::span<const std::int32_t> labels,
                                   std::int32_t classes);

}  // namespace tdds
