#pragma once
// The arrays of a data set of .npy files.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/npy.h"

namespace tdds {

// A folder of <name>.npy files, or an .npz that holds them (numpy.savez, MedMNIST).
class NpySource {
 public:
  // Throws Error for a file that is not an archive. The arrays of an .npz may take `max_bytes` in total.
  NpySource(std::string path, std::int64_t max_bytes);

  bool holds(const std::string& array) const;
  std::string label(const std::string& array) const;  // for messages: its path
  // Throws Error if the array is missing or damaged.
  NpyReader open(const std::string& array);
  // The arrays of an .npz other than `known`.
  std::vector<std::string> others(const std::vector<std::string>& known) const;

 private:
  std::string path_;
  bool is_npz_ = false;
  std::vector<std::string> arrays_;  // of an .npz
  std::int64_t bytes_left_;
};

// Reads uint8 pixels of colour images [N,H,W,3] or grey images [N,H,W] or [N,H,W,1], whose value is repeated
// in three channels. Throws Error that says what the array is instead and which line of numpy converts it.
struct NpyImages {
  int height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  // [N,H,W,3]
};
NpyImages read_npy_images(const NpyReader& reader);

// Reads labels in 0 .. 99,999 from [N] or [N,1] of int8 to int64 or uint8 to uint32. Throws Error likewise.
std::vector<std::int32_t> read_npy_labels(const NpyReader& reader);

}  // namespace tdds
