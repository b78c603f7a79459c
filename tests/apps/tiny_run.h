#pragma once
// A training run that takes a fraction of a second, and its outcome to the bit.

#include <string>
#include <vector>

#include "engine/safetensors.h"

namespace tdds::test {

inline std::vector<std::string> with(std::vector<std::string> args, const std::vector<std::string>& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

// 240 training images, 16 channels at most: a fraction of a second an epoch.
inline std::vector<std::string> tiny(const std::string& folder, int epochs = 3) {
  return {"--dataset",       "shapes",
          "--shapes_train",  "240",
          "--shapes_test",   "60",
          "--width",         "0.03125",
          "--arch",          "resnet18",
          "--batch-size",    "50",
          "--epochs",        std::to_string(epochs),
          "--learning_rate", "0.05",
          "--save_path",     folder};
}

inline std::string model_bytes(const std::string& folder) {
  const SafetensorsFile file(folder + "/model_last.safetensors");
  std::string all;
  for (const StoredTensor& tensor : file.tensors()) {
    std::string bytes(tensor.bytes, '\0');
    file.read(tensor, bytes.data());
    all += tensor.name + bytes;
  }
  return all;
}

}  // namespace tdds::test
