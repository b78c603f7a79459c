#include "tdds/methods/moderate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

// Everything that identifies a run is compared, one by one.
TEST(ModerateTest, FeaturesOfAnotherRunAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "features.safetensors";
  DynamicsHeader run;
  run.samples = 3;
  run.classes = 2;
  run.dataset = "shapes";
  run.fingerprint = "1234";
  run.seed = 5;
  const Features features{{1, 2, 3, 4, 5, 6}, 3, 2, 10};
  write_features(path, run, features);
  EXPECT_EQ(read_features(path, run, 10).values, features.values);

  const auto expect = [&](const DynamicsHeader& other, std::int32_t epochs, const char* words) {
    EXPECT_THAT([&] { read_features(path, other, epochs); },
                testing::ThrowsMessage<Error>(testing::HasSubstr(path + words)));
  };
  DynamicsHeader dataset = run, fingerprint = run, seed = run, samples = run;
  dataset.dataset = "cifar10";
  fingerprint.fingerprint = "1235";
  seed.seed = 6;
  samples.samples = 4;
  expect(dataset, 10, " is of another data set");
  expect(fingerprint, 10, " is of another data set");
  expect(seed, 10, " is of a run with seed 5, but the dynamics beside it of one with seed 6");
  expect(run, 11, " is of a net after 10 epochs, but the dynamics beside it are of 11");
  expect(samples, 10, " holds no float32 features of 4 samples");
}

}  // namespace
}  // namespace tdds
