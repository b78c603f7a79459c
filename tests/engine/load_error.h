#pragma once
// Checks the error of a data set that cannot be loaded.

#include <gtest/gtest.h>

#include <string>

#include "engine/data/dataset.h"
#include "kernels/runtime/check.h"

namespace tdds {

inline void expect_error(const DatasetOptions& options, const std::string& reason) {
  try {
    load_dataset(options);
    ADD_FAILURE() << "accepted; expected: " << reason;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

}  // namespace tdds
