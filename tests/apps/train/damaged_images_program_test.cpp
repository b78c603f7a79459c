// Damaged images of every format through the real program: each is refused by its name, or counted and left
// out.

#include <gtest/gtest.h>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/engine/image_forms.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;

class DamagedImagesTest : public testing::Test {
 protected:
  DamagedImagesTest() {
    for (const std::string split : {"train", "val"})
      for (const std::string name : {"cat", "dog"}) {
        const fs::path folder = fs::path(data_) / split / name;
        fs::create_directories(folder);
        for (int i = 0; i < 10; ++i) write_text(folder / (std::to_string(i) + ".png"), form("rgb8.png"));
      }
  }
  static std::string form(const std::string& name) { return image_forms().at(name).bytes; }
  void put(const std::string& name, const std::string& bytes) const {
    write_text(data_ + "/train/dog/" + name, bytes);
  }
  Outcome train(const std::vector<std::string>& more = {}) const {
    return run_tool("tdds-train",
                    with({"--dataset", "folder", "--data_path", data_, "--image_size", "17", "--width",
                          "0.03125", "--batch-size", "10", "--epochs", "1", "--learning_rate", "0.01",
                          "--threads", "2", "--overwrite", "--save_path", run_},
                         more));
  }

  TemporaryFolder folder_;
  const std::string data_ = folder_ / "data", run_ = folder_ / "run";
};

TEST_F(DamagedImagesTest, AreRefusedByNameOrCountedInEveryFormat) {
  int damaged = 0;
  for (const std::string name :
       {"rgb8.png", "ycc420.jpg", "rgb24.bmp", "rgb24.tga", "rgb24_packed.tga", "rgb_255.ppm"}) {
    const std::string& whole = form(name);
    std::string flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 1);
    std::vector<std::string> kinds{whole.substr(0, 54), whole.substr(0, whole.size() * 55 / 100),
                                   whole.substr(0, whole.size() - 1)};
    if (is_form_of(name, "png")) kinds.push_back(flipped);
    if (is_form_of(name, "tga") || is_form_of(name, "ppm")) kinds.push_back(whole + "more");
    for (const std::string& bytes : kinds) put("bad" + std::to_string(damaged++) + "_" + name, bytes);
  }
  put("a_gif.png", "GIF89a" + std::string(99, '\1'));
  const std::vector<std::string> left_out{"--skip_bad"};
  const Outcome skipped = train(left_out);
  ASSERT_EQ(skipped.exit_code, 0) << skipped.err;
  const std::string count = std::to_string(damaged + 1) + " of " + std::to_string(damaged + 21) + " images";
  EXPECT_NE(skipped.out.find(count), std::string::npos) << count << "\n" << skipped.out;
  const std::string weights = model_bytes(run_);
  ASSERT_EQ(train(left_out).exit_code, 0);
  EXPECT_TRUE(model_bytes(run_) == weights);

  // The first one in the folder is named.
  for (const std::string first : {"a_gif.png", "bad0_rgb8.png"}) {
    const Outcome refused = train();
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_TRUE(is_one_sentence(refused.err, "tdds-train")) << refused.err;
    EXPECT_NE(refused.err.find(first), std::string::npos) << refused.err;
    fs::remove(data_ + "/train/dog/" + first);
  }
}

TEST_F(DamagedImagesTest, ThatAreAcceptedTrainReproducibly) {
  for (const std::string name : {"ycc420.jpg", "cmyk_plain.jpg", "rgb24.bmp", "rgb24.tga", "rgb_15.ppm"}) {
    std::string flipped = form(name);
    flipped[flipped.size() - 20] = static_cast<char>(flipped[flipped.size() - 20] ^ 4);
    put("flipped_" + name, flipped);
  }
  const std::string jpeg = form("ycc444.jpg");
  put("early.jpg", jpeg.substr(0, jpeg.size() - 100) + "\xff\xd9");
  const Outcome first = train({"--skip_bad"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::string weights = model_bytes(run_), told = "1 of 26 are JPEGs that end early";
  EXPECT_NE(first.out.find(told), std::string::npos) << first.out;
  // Once to write a cache, and once to read it.
  for (int round = 0; round < 2; ++round) {
    const Outcome again = train({"--skip_bad", "--cache_dir", folder_ / "cache"});
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_NE(again.out.find(told), std::string::npos) << again.out;
    EXPECT_TRUE(model_bytes(run_) == weights);
  }
}

}  // namespace
}  // namespace tdds::test
