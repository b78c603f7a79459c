#pragma once
// A sweep on drawn images and a tiny network.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/apps/program.h"

namespace tdds::test {

using Json = nlohmann::json;

// 120 training images, 16 channels at most: a tenth of a second a run.
inline std::vector<std::string> data_and_net(const std::string& folder) {
  return {"--dataset", "shapes", "--shapes_train", "120", "--shapes_test",   "40",   "--width",     "0.03125",
          "--epochs",  "3",      "--batch-size",   "40",  "--learning_rate", "0.05", "--save_path", folder};
}

inline Json json_of(const std::string& path) {
  return Json::parse(read_text(path));
}

}  // namespace tdds::test
