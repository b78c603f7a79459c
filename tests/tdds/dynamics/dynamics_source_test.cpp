#include "tdds/dynamics/dynamics_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

// A run's folder with the official files in npy/, with the store beside it, or with both.
class DynamicsSourceTest : public testing::Test {
 protected:
  void write_store() {
    DynamicsHeader header;
    header.samples = 2;
    header.classes = 3;
    DynamicsWriter(store_, header).append(0, EpochDynamics(2));
  }
  void write_official() {
    std::filesystem::create_directory(npy_);
    write_official_epoch(npy_, 0, std::vector<float>(2), std::vector<float>(6), 3, {{0, 1}});
  }
  static std::string found(const std::string& path) { return DynamicsSource(path).path(); }
  static void expect_refused(const std::string& path, const std::string& words) {
    EXPECT_THAT([&] { found(path); }, testing::ThrowsMessage<Error>(testing::StartsWith(path + " " + words)));
  }

  test::TemporaryFolder folder_;
  const std::string run_ = folder_.str(), store_ = folder_ / "dynamics.tdds", npy_ = folder_ / "npy";
};

TEST_F(DynamicsSourceTest, FindsAStoreByItsFileOrFolder) {
  write_store();
  for (const std::string& path : {store_, run_, run_ + "/"}) EXPECT_EQ(found(path), store_);
}

TEST_F(DynamicsSourceTest, FindsOfficialFilesByTheirFolderOrTheOneAbove) {
  write_official();
  for (const std::string& path : {npy_, run_, run_ + "/"}) EXPECT_EQ(found(path), npy_);
}

TEST_F(DynamicsSourceTest, TheOfficialDefaultAlsoMeansTheStoreBesideIt) {
  write_store();
  for (const std::string& path : {npy_, npy_ + "/"}) EXPECT_EQ(found(path), store_);
  write_official();
  EXPECT_EQ(found(run_), store_);
}

TEST_F(DynamicsSourceTest, RefusesAFolderWithoutDynamics) {
  write_store();
  expect_refused(folder_ / "absent", "does not exist");
  const std::string empty = folder_ / "empty";
  std::filesystem::create_directory(empty);
  expect_refused(empty, "holds neither dynamics.tdds nor <epoch>_Output.npy");
  std::filesystem::remove(store_);
  expect_refused(npy_, "does not exist");
}

}  // namespace
}  // namespace tdds
