#pragma once
// A user's own images in folders, and the programs on them.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/program.h"
#include "tests/engine/image_files.h"

namespace tdds::test {

namespace fs = std::filesystem;
using Json = nlohmann::json;

inline void put(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  write_text(path, bytes);
}

inline std::string png(int seed, int side = 8) {
  return png_bytes(test_pixels(seed, side, side), side, side);
}

class FolderTest : public testing::Test {
 protected:
  // Two classes of ten training and two validation images.
  void write_images(int seed = 0) {
    for (const std::string name : {"cat", "dog"})
      for (int i = 0; i < 12; ++i)
        put(data_ + (i < 10 ? "/train/" : "/val/") + name + "/" + std::to_string(i) + ".png",
            png(seed + i + (name == "dog" ? 100 : 0)));
  }
  std::vector<std::string> flags() const {
    return {"--dataset",       "folder",  "--data_path",  data_, "--image_size", "8",
            "--width",         "0.03125", "--batch-size", "10",  "--epochs",     "3",
            "--learning_rate", "0.01",    "--threads",    "2",   "--overwrite"};
  }
  Outcome train(const std::vector<std::string>& more = {}) {
    return run_tool("tdds-train", with(with(flags(), {"--dynamics", "--save_path", run_}), more));
  }
  Outcome score(const std::vector<std::string>& more = {}) {
    return run_tool("tdds-score", with({"--dynamics_path", run_, "--mask_path", masks_, "--trajectory_len",
                                        "3", "--window_size", "3"},
                                       more));
  }
  Outcome train_subset(const std::vector<std::string>& more = {}) {
    return run_tool("tdds-train-subset",
                    with(with(flags(), {"--save_path", folder_ / "subset", "--subset_rate", "0.5",
                                        "--mask_path", masks_ + "/data_mask_win3_ep3.npy", "--score_path",
                                        masks_ + "/score_win3_ep3.npy"}),
                         more));
  }
  static void expect_refused(const Outcome& outcome, const std::string& says,
                             const std::string& program = "tdds-train") {
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err << "expected: " << says;
  }
  // One bad training image: refused by name, and left out and counted with --skip_bad.
  void expect_bad_image(const std::string& says) {
    expect_refused(train(), says);
    const Outcome skipped = train({"--skip_bad"});
    EXPECT_EQ(skipped.exit_code, 0) << skipped.err;
    EXPECT_NE(skipped.out.find("1 of 21 images"), std::string::npos) << skipped.out;
    EXPECT_NE(skipped.out.find("20 training images"), std::string::npos) << skipped.out;
  }

  TemporaryFolder folder_;
  const std::string data_ = folder_ / "data", run_ = folder_ / "run", masks_ = folder_ / "masks";
};

}  // namespace tdds::test
