#pragma once
// The arrays that make a data set of .npy files.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/npy.h"

namespace tdds {

// Where the arrays are: <name>.npy in a folder, or in an .npz (numpy.savez, MedMNIST).
class NpySource {
 public:
  // Throws Error for a file that is no archive. An .npz may take `max_bytes` in all.
  NpySource(std::string path, std::int64_t max_bytes);

  bool holds(const std::string& array) const;
  std::string label(const std::string& array) const;  // for messages: its path
  // Throws Error where the array is missing or damaged.
  NpyReader open(const std::string& array);
  // Arrays of an .npz beside `known`.
  std::vector<std::string> others(const std::vector<std::string>& known) const;

 private:
  std::string path_;
  bool is_npz_ = false;
  std::vector<std::string> arrays_;  // of an .npz
  std::int64_t bytes_left_;
};

// Pixels as uint8 [N,H,W,3] or [N,H,W], grey also [N,H,W,1]; grey is repeated in three channels. Throws
// Error, naming what the array is instead and the line of numpy that converts it.
struct NpyImages {
  int height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  // [N,H,W,3]
};
NpyImages read_npy_images(const NpyReader& reader);

// Labels of 0 .. 99,999 as [N] or [N,1] of int8 to int64 or uint8 to uint32. Throws Error likewise.
std::vector<std::int32_t> read_npy_labels(const NpyReader& reader);

}  // namespace tdds
