// tdds-train on CIFAR files: good ones, and those that are damaged or hostile.

#include <gtest/gtest.h>

#include "tests/apps/program.h"

namespace tdds::test {
namespace {

// Records of the binary form of CIFAR-100: coarse label, fine label, 3072 bytes of a grey image.
std::string records(int n, int label_step = 1) {
  std::string bytes;
  for (int i = 0; i < n; ++i) {
    bytes += '\0';
    bytes += static_cast<char>(i * label_step);
    bytes.append(3072, static_cast<char>(10 * i));
  }
  return bytes;
}

class Cifar100Files : public testing::Test {
 protected:
  void binary(const std::string& train, const std::string& test) {
    std::filesystem::create_directories(folder_ / "cifar-100-binary");
    write_text(folder_ / "cifar-100-binary/train.bin", train);
    write_text(folder_ / "cifar-100-binary/test.bin", test);
  }
  void python(const std::string& train) {
    std::filesystem::create_directories(folder_ / "cifar-100-python");
    for (const char* name : {"train", "test", "meta"})
      write_text(folder_ / (std::string("cifar-100-python/") + name), train);
  }
  Outcome train() {
    return run_tool("tdds-train", {"--dataset", "cifar100", "--data_path", folder_.str(), "--width",
                                   "0.03125", "--batch-size", "10", "--epochs", "1", "--learning_rate",
                                   "0.01", "--save_path", folder_ / "run"});
  }
  void expect_refused(const char* says) {
    const Outcome outcome = train();
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
  }

  TemporaryFolder folder_;
};

TEST_F(Cifar100Files, InTheBinaryFormAreTrainedOn) {
  binary(records(20), records(10));
  const Outcome outcome = train();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("20 training images, 10 test images, 100 classes"), std::string::npos)
      << outcome.out;
}

TEST_F(Cifar100Files, CutShortAreNamed) {
  const std::string whole = records(20);
  binary(whole.substr(0, whole.size() - 100), records(10));
  expect_refused("train.bin");
}

TEST_F(Cifar100Files, WithALabelOutOfRangeAreNamed) {
  binary(records(20, 6), records(10));  // 17 * 6 = 102
  expect_refused("102");
}

TEST_F(Cifar100Files, ThatAreAbsentAreSaidToBe) {
  std::filesystem::create_directories(folder_ / "cifar-100-binary");
  write_text(folder_ / "cifar-100-binary/train.bin", records(20));
  expect_refused("test.bin");
}

// A pickle that would run a command: nothing is run, and the sentence says what it asked for.
TEST_F(Cifar100Files, ThatHoldAHostilePickleRunNothing) {
  const std::string trap = folder_ / "trap";
  python("cposix\nsystem\n(S'touch " + trap + "'\ntR.");
  expect_refused("system");
  EXPECT_FALSE(std::filesystem::exists(trap));
}

TEST_F(Cifar100Files, ThatHoldAMalformedPickleAreNamed) {
  python("\x80\x02}q\x01(U\x04");
  expect_refused("cifar-100-python");
}

}  // namespace
}  // namespace tdds::test
