// Ranks whose batch norms share the statistics of the whole batch train as one process does: they are
// compared with PyTorch's results for one, by the same yardstick.

#include <gmock/gmock.h>

#include <algorithm>

#include "kernels/planning/planning_device.h"
#include "tests/engine/thread_ranks.h"
#include "tests/nets/golden_training.h"

namespace tdds::test {
namespace {

struct GoldenOfRanks {
  const char* fixture;
  ResNetSpec spec;
  DeviceKind device = DeviceKind::kCpu;
  ConvAlgo algo = ConvAlgo::kAuto;
  Branches branches = Branches::kInPlace;
  std::size_t steps = GoldenTraining::kMostSteps;
};

void compare_on(int ranks, const GoldenOfRanks& golden) {
  on_ranks(ranks, [&](Ranks& all) {
    const std::unique_ptr<Device> device = make_device(golden.device, {.branches = golden.branches});
    const std::unique_ptr<Stream> stream = device->make_stream(StreamMode::kDeferred);
    DataParallel parallel(all, {.sync_batchnorm = true});
    parallel.connect(*device);
    GoldenTraining(*device, *stream, golden.fixture, golden.spec, golden.algo, &parallel)
        .compare(golden.steps);
  });
}

const ResNetSpec kNarrow18{.arch = "resnet18", .classes = 10, .width = 0.125, .image_size = 32};
// One step: the losses of later ones depend so much on rounding that one process is off by two yardsticks.
const GoldenOfRanks kNarrow50{.fixture = "resnet50_narrow",
                              .spec = {.arch = "resnet50", .classes = 10, .width = 0.125, .image_size = 16},
                              .steps = 1};

// The fixtures have 4 images.
TEST(SyncBatchNormTest, RanksTrainAsOneProcess) {
  for (const int ranks : {2, 4}) {
    for (const ConvAlgo algo : {ConvAlgo::kDirect, ConvAlgo::kWinograd})
      compare_on(ranks, {"resnet18_narrow", kNarrow18, DeviceKind::kCpu, algo});
    compare_on(ranks, kNarrow50);
  }
}

// 3 ranks have slots of 2 images, and the last one nothing.
TEST(SyncBatchNormTest, ARankWithoutImagesTakesPart) {
  compare_on(3, {"resnet18_narrow", kNarrow18});
  compare_on(3, kNarrow50);
}

TEST(SyncBatchNormTest, RanksTrainAsOneProcessOnGpuKernels) {
  compare_on(3, {"resnet18_narrow", kNarrow18, DeviceKind::kSimt, ConvAlgo::kAuto, Branches::kAtJoin});
}

// Writes down for how many channels statistics are gathered.
class ListingExchange final : public StatisticsExchange {
 public:
  float* mine(std::int32_t) override { return nowhere_; }
  BatchNormPartials gather(Stream&, std::int32_t channels, std::int32_t images,
                           std::int64_t positions) override {
    gathered.push_back(channels);
    return {.groups = nowhere_, .group_rows = images * positions, .total_rows = images * positions};
  }
  std::vector<std::int32_t> gathered;

 private:
  float nowhere_[1] = {};
};

TEST(SyncBatchNormTest, ANetKnowsTheOrderOfItsBatchNorms) {
  for (const Stem stem : {Stem::kCifar, Stem::kImageNet})
    for (const std::string& arch : resnet_names()) {
      SCOPED_TRACE(arch);
      const std::unique_ptr<Device> cpu = make_device(DeviceKind::kCpu);
      PlanningDevice device(*cpu);
      const std::unique_ptr<Stream> stream = device.make_stream(StreamMode::kImmediate);
      const auto net =
          make_resnet({.arch = arch, .classes = 4, .width = 0.125, .image_size = 64, .stem = stem});
      net->params().place(device, *stream, DType::kF32);
      ListingExchange exchange;
      const std::unique_ptr<Pass> pass =
          net->make_pass(device, {.batch = 2, .whole = {.exchange = &exchange, .images = 2}});
      Arena saved("saved"), scratch("scratch"), tickets("tickets");
      pass->bind(saved, scratch, tickets);
      for (Arena* arena : {&saved, &scratch, &tickets}) arena->place(device);
      pass->bind(saved, scratch, tickets);
      pass->forward(*stream);
      std::vector<std::int32_t> want = net->norm_channels();
      EXPECT_EQ(exchange.gathered, want);
      exchange.gathered.clear();
      pass->backward(*stream);
      std::reverse(want.begin(), want.end());
      EXPECT_EQ(exchange.gathered, want);
    }
}

}  // namespace
}  // namespace tdds::test
