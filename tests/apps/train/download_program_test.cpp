// tdds-train --download, from a folder that stands in for the server.

#include <gtest/gtest.h>

#include "engine/io/hash.h"
#include "tests/apps/program.h"
#include "tests/engine/cifar_files.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;

class DownloadProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(server_);
    write_tar_gz(server_ + "/" + kArchive, cifar_form(100, false));
  }
  Outcome train(const std::vector<std::string>& more) {
    std::vector<std::string> args{
        "--dataset",       "cifar100", "--data_path", data_,           "--width",
        "0.03125",         "--epochs", "1",           "--batch-size",  "10",
        "--learning_rate", "0.01",     "--save_path", folder_ / "run", "--overwrite"};
    args.insert(args.end(), more.begin(), more.end());
    return run_tool("tdds-train", args);
  }
  std::string md5() const { return hash_file(HashKind::kMd5, server_ + "/" + kArchive); }
  void expect_refused(const std::vector<std::string>& args, const std::string& says) {
    const Outcome outcome = train(args);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_EQ(outcome.err.rfind("tdds-train: "), outcome.err.rfind('\n', outcome.err.size() - 2) + 1);
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
    EXPECT_TRUE(!fs::exists(data_) || fs::is_empty(data_)) << "nothing is left behind";
  }

  static constexpr const char* kArchive = "cifar-100-binary.tar.gz";
  TemporaryFolder folder_;
  std::string server_ = folder_ / "server", data_ = folder_ / "data", url_ = "file://" + server_;
};

TEST_F(DownloadProgramTest, SaysWhatItFetchesAndTrainsOnIt) {
  const Outcome outcome = train({"--download", "--download_url", url_ + "/", "--download_md5", md5()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("downloading " + url_ + "/" + kArchive + " to " + data_ + "/" + kArchive + "\n"),
            std::string::npos)
      << outcome.out;
  const std::string kilobytes = std::to_string(fs::file_size(server_ + "/" + kArchive) / 1000);
  EXPECT_NE(outcome.err.find("downloading " + kilobytes + "/" + kilobytes + " kB"), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.out.find("10 training images, 4 test images, 100 classes"), std::string::npos);
  const Outcome again = train({"--download"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out.find("downloading"), std::string::npos) << "it is there already";
}

TEST_F(DownloadProgramTest, RejectsAWrongArchive) {
  const std::string found = md5();
  expect_refused({"--download", "--download_url", url_},
                 "has MD5 " + found + ", but 03b5dce01913d631647c71ecec9e9cb8 is expected");
  expect_refused({"--download", "--download_url", url_, "--download_md5", std::string(32, '0')},
                 "but " + std::string(32, '0') + " is expected");
  expect_refused({"--download", "--download_url", url_ + "/elsewhere"}, "check the network");
  expect_refused({"--download", "--download_url", "ftp://localhost"}, "cannot be fetched");
}

}  // namespace
}  // namespace tdds::test
