#pragma once
// A training run of a fraction of a second, and functions that read its results.

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"
#include "kernels/ops/step_state.h"
#include "tests/apps/program.h"

namespace tdds::test {

// 240 training images, 16 channels at most: a fraction of a second per epoch.
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

// The state in the checkpoint of `folder`, or none if there is no checkpoint.
inline std::optional<StepState> checkpoint_state(const std::string& folder) {
  const std::string path = folder + "/checkpoint.safetensors";
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SafetensorsFile file(path);
  StepState state{};
  file.read(file.at("trainer.state"), &state);
  return state;
}

// The lines of metrics.jsonl, without the times.
inline std::vector<nlohmann::json> metrics_but_times(const std::string& folder) {
  std::istringstream lines(read_text(folder + "/metrics.jsonl"));
  std::vector<nlohmann::json> epochs;
  for (std::string line; std::getline(lines, line);) {
    epochs.push_back(nlohmann::json::parse(line));
    for (const char* time : {"seconds", "images_per_second"}) epochs.back().erase(time);
  }
  return epochs;
}

}  // namespace tdds::test
