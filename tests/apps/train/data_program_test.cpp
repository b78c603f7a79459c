// tdds-train on CIFAR files: good ones, and those that are damaged or hostile.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/engine/cifar_files.h"

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

class Cifar100FilesTest : public testing::Test {
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

TEST_F(Cifar100FilesTest, InTheBinaryFormAreTrainedOn) {
  binary(records(20), records(10));
  const Outcome outcome = train();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("20 training images, 10 test images, 100 classes"), std::string::npos)
      << outcome.out;
}

TEST_F(Cifar100FilesTest, CutShortAreNamed) {
  const std::string whole = records(20);
  binary(whole.substr(0, whole.size() - 100), records(10));
  expect_refused("train.bin");
}

TEST_F(Cifar100FilesTest, WithALabelOutOfRangeAreNamed) {
  binary(records(20, 6), records(10));  // 17 * 6 = 102
  expect_refused("102");
}

TEST_F(Cifar100FilesTest, ThatAreAbsentAreNamed) {
  std::filesystem::create_directories(folder_ / "cifar-100-binary");
  write_text(folder_ / "cifar-100-binary/train.bin", records(20));
  expect_refused("test.bin");
}

// A pickle that would run a command: nothing runs, and the error names the call.
TEST_F(Cifar100FilesTest, ThatHoldAHostilePickleRunNothing) {
  const std::string trap = folder_ / "trap";
  python("cposix\nsystem\n(S'touch " + trap + "'\ntR.");
  expect_refused("system");
  EXPECT_FALSE(std::filesystem::exists(trap));
}

TEST_F(Cifar100FilesTest, ThatHoldAMalformedPickleAreNamed) {
  python("\x80\x02}q\x01(U\x04");
  expect_refused("cifar-100-python");
}

// Each published form of one set, unpacked and as the archive that is downloaded, gives the same run, which
// is scored and pruned like any other.
class CifarFormsTest : public testing::TestWithParam<int> {};

TEST_P(CifarFormsTest, AllGiveTheSameRun) {
  const int classes = GetParam();
  const TemporaryFolder folder;
  const auto data_flags = [&](const std::string& path) {
    return with(tiny(folder / "run", 3), {"--dataset", fmt::format("cifar{}", classes), "--data_path", path,
                                          "--batch-size", "4", "--overwrite"});
  };
  std::string model, dynamics;
  for (const bool pickled : {false, true}) {
    const Files files = cifar_form(classes, pickled);
    const std::string unpacked = folder / (pickled ? "python" : "binary"), packed = unpacked + ".tar.gz";
    write_files(unpacked, files);
    write_tar_gz(packed, files);
    for (const std::string& path : {unpacked, packed}) {
      SCOPED_TRACE(path);
      const Outcome outcome = run_tool("tdds-train", with(data_flags(path), {"--dynamics"}));
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      EXPECT_NE(outcome.out.find(fmt::format("10 training images, 4 test images, {} classes", classes)),
                std::string::npos)
          << outcome.out;
      if (model.empty()) {
        model = model_bytes(folder / "run");
        dynamics = read_text(folder / "run/dynamics.tdds");
      }
      EXPECT_TRUE(model_bytes(folder / "run") == model);
      EXPECT_TRUE(read_text(folder / "run/dynamics.tdds") == dynamics);
    }
  }
  const Outcome scored =
      run_tool("tdds-score", {"--dynamics_path", folder / "run", "--mask_path", folder / "masks",
                              "--trajectory_len", "3", "--window_size", "3"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const Outcome pruned =
      run_tool("tdds-train-subset",
               with(data_flags(folder / "python.tar.gz"),
                    {"--subset_rate", "0.4", "--mask_path", folder / "masks/data_mask_win3_ep3.npy",
                     "--score_path", folder / "masks/score_win3_ep3.npy"}));
  ASSERT_EQ(pruned.exit_code, 0) << pruned.err;
  EXPECT_NE(pruned.out.find("6 of 10 samples are kept"), std::string::npos) << pruned.out;
}

INSTANTIATE_TEST_SUITE_P(Classes, CifarFormsTest, testing::Values(10, 100),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace tdds::test
