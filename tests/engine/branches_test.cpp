// Training steps whose filter gradients run on the stream's branch: at whatever time it runs, all bits are
// equal, and each thing that orders it is needed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/checkpoint.h"
#include "kernels/ops/ops.h"
#include "kernels/planning/planning_device.h"
#include "kernels/runtime/host_stream.h"
#include "tests/engine/small_run.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using namespace test;

const std::vector<DeviceOptions>& every_order() {
  static const std::vector<DeviceOptions> kOrders{
      {.branches = Branches::kAtFork},
      {.branches = Branches::kAtJoin},
      {.branches = Branches::kInterleaved, .branch_seed = 1},
      {.branches = Branches::kInterleaved, .branch_seed = 2},
  };
  return kOrders;
}

TrainOptions options_of(DType dtype, bool record_steps = true, std::int32_t accumulate = 1) {
  TrainOptions o = options(2);
  o.compute = dtype;
  o.loss_scale = dtype == DType::kF16 ? 1024 : 1;
  o.crop = Crop::kCentre;
  o.record_steps = record_steps;
  o.accumulate = accumulate;
  return o;
}

struct BranchRun : SmallRun {
  explicit BranchRun(const TrainOptions& options, const DeviceOptions& order = {},
                     StreamMode mode = StreamMode::kImmediate)
      : SmallRun(options, mode, 26, false, order, DeviceKind::kSimt) {}
};

class BranchesTest : public testing::TestWithParam<DType> {};

INSTANTIATE_TEST_SUITE_P(simt, BranchesTest, testing::Values(DType::kF32, DType::kF16),
                         [](const auto& param) { return std::string(to_string(param.param)); });

// An epoch: three full batches, of which the first is eager, and a short one.
TEST_P(BranchesTest, ChangeNoBitInAnyOrder) {
  BranchRun off(options_of(GetParam(), /*record_steps=*/false));
  const std::vector<float> loss = off.epoch().values.loss;
  EXPECT_TRUE(std::isfinite(loss[0]));
  for (const DeviceOptions& order : every_order())
    for (const auto& [record_steps, mode] : {std::pair{false, StreamMode::kImmediate},
                                             {true, StreamMode::kImmediate},
                                             {true, StreamMode::kDeferred}}) {
      BranchRun on(options_of(GetParam(), record_steps), order, mode);
      EXPECT_EQ(on.epoch().values.loss, loss);
      EXPECT_EQ(on.weights(), off.weights())
          << static_cast<int>(order.branches) << " " << order.branch_seed << ", recorded " << record_steps;
    }
}

// Each part of a batch overwrites the gradients, which are summed in between.
TEST_P(BranchesTest, ChangeNoBitWithAccumulation) {
  BranchRun off(options_of(GetParam(), true, 2));
  off.epoch();
  for (const DeviceOptions& order : every_order()) {
    BranchRun on(options_of(GetParam(), true, 2), order);
    on.epoch();
    EXPECT_EQ(on.weights(), off.weights()) << static_cast<int>(order.branches) << " " << order.branch_seed;
  }
}

// The check for non-finite gradients reads what the branch writes: NaNs from before have no effect.
TEST_P(BranchesTest, TheFiniteCheckWaitsForTheBranch) {
  TrainOptions o = options_of(GetParam());
  o.loss_scale = 1024;
  BranchRun off(o), on(o, {.branches = Branches::kAtJoin});
  const Params& params = on.net->params();
  for (int i = 0; i < static_cast<int>(params.list().size()); ++i) {
    const Param& param = params.list()[static_cast<std::size_t>(i)];
    if (param.kind != ParamKind::kFilter) continue;
    const std::vector<std::byte> nan(
        static_cast<std::size_t>(param.stored_elements) * element_size(GetParam()), std::byte{0xFF});
    on.stream->upload(params.filter_gradient(i), nan.data(), nan.size());
  }
  off.trainer.step();
  on.trainer.step();
  EXPECT_EQ(on.trainer.read_state().skipped, 0);
  EXPECT_EQ(on.weights(), off.weights());
}

TEST_P(BranchesTest, AResumedRunContinuesInAnotherOrder) {
  BranchRun whole(options_of(GetParam()));
  whole.epoch();
  whole.epoch();
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint.safetensors";
  for (const DeviceOptions& order : every_order()) {
    BranchRun stopped(options_of(GetParam()), order), resumed(options_of(GetParam()));
    for (int i = 0; i < 3; ++i) stopped.trainer.step();
    static_cast<void>(stopped.trainer.read_state());
    save_checkpoint(path, *stopped.stream, stopped.net->params(), stopped.trainer, {});
    load_checkpoint(path, *resumed.stream, resumed.net->params(), resumed.trainer);
    resumed.epoch();
    resumed.epoch();
    EXPECT_EQ(resumed.weights(), whole.weights()) << static_cast<int>(order.branches);
  }
}

// The weights after a step and two more by replaying it, without the n-th of its joins. How many joins there
// are is written to `joins`.
std::vector<std::byte> weights_without_join(DType dtype, int n, int& joins) {
  BranchRun run(options_of(dtype, /*record_steps=*/false), {.branches = Branches::kAtJoin});
  run.trainer.step();
  const auto recording = run.stream->record([&] { run.trainer.step(); });
  std::vector<HostCommand> list;
  joins = 0;
  for (const HostCommand& command : static_cast<const HostRecording&>(*recording).list)
    if (command.run != nullptr || joins++ != n) list.push_back(command);
  const HostRecording shorter(list);
  for (int i = 0; i < 2; ++i) run.stream->replay(shorter);
  return run.weights();
}

// Seeded mistakes: a ring that hands out a buffer although the branch still reads it, and an optimizer that
// does not wait for the branch.
TEST_P(BranchesTest, EachJoinOfAStepIsNeeded) {
  int joins = 0;
  const std::vector<std::byte> right = weights_without_join(GetParam(), -1, joins);
  EXPECT_GE(joins, 10) << "20 filter gradients run through a ring of 6 buffers";
  for (int n = 0; n < joins; ++n) {
    int all = 0;
    EXPECT_NE(weights_without_join(GetParam(), n, all), right) << "join " << n << " of " << all;
  }
}

// A convolution as a GPU's library makes it: several kernels, between which its workspace holds results. The
// commands of a host device would not notice that two of them share one.
class SplitConv2d final : public Conv2d {
 public:
  explicit SplitConv2d(std::unique_ptr<Conv2d> whole) : Conv2d(whole->spec()), whole_(std::move(whole)) {}

  std::size_t workspace_bytes() const override { return std::max(kMark, whole_->workspace_bytes()); }
  std::size_t filter_workspace_bytes() const override {
    return std::max(kMark, whole_->filter_workspace_bytes());
  }
  void forward(Stream& stream, const void* x, const void* w, void* y, void* workspace) override {
    use(stream, workspace);
    whole_->forward(stream, x, w, y, workspace);
  }
  void backward_data(Stream& stream, const void* dy, const void* w, void* dx, bool accumulate,
                     void* workspace) override {
    use(stream, workspace);
    whole_->backward_data(stream, dy, w, dx, accumulate, workspace);
  }
  void backward_filter(Stream& stream, const void* x, const void* dy, void* dw, void* workspace) override {
    use(stream, workspace);
    whole_->backward_filter(stream, x, dy, dw, workspace);
  }
  std::vector<ServedDirection> served() const override { return whole_->served(); }

 private:
  static constexpr std::size_t kMark = sizeof(std::int64_t);
  struct Mark {
    void* workspace;
    std::int64_t value;
  };

  // Two commands: one that leaves a value of this call in the workspace, and one that reads it.
  static void use(Stream& stream, void* workspace) {
    static std::int64_t calls = 0;
    const Mark mark{workspace, ++calls};
    enqueue<Mark>(stream, "first half", mark,
                  [](const Mark& args) { std::memcpy(args.workspace, &args.value, kMark); });
    enqueue<Mark>(stream, "second half", mark, [](const Mark& args) {
      check(std::memcmp(args.workspace, &args.value, kMark) == 0,
            "a convolution's workspace was overwritten");
    });
  }

  std::unique_ptr<Conv2d> whole_;
};

std::unique_ptr<Device> split_device(const DeviceOptions& options) {
  static const Ops* simt = &make_device(DeviceKind::kSimt)->ops();
  static const Ops kSplit{Kernels::kSimt,
                          [](Device& device, const Conv2dSpec& spec) -> std::unique_ptr<Conv2d> {
                            return std::make_unique<SplitConv2d>(simt->make_conv2d(device, spec));
                          },
                          simt->make_linear};
  return make_host_device(DeviceKind::kSimt, kSplit, options);
}

TEST_P(BranchesTest, TheBranchHasAWorkspaceOfItsOwn) {
  BranchRun off(options_of(GetParam()));
  off.epoch();
  for (std::uint32_t seed = 0; seed < 3; ++seed) {
    SmallRun split(options_of(GetParam()),
                   split_device({.branches = Branches::kInterleaved, .branch_seed = seed}),
                   StreamMode::kImmediate);
    EXPECT_NO_THROW(split.epoch());
    EXPECT_EQ(split.weights(), off.weights());
  }
}

// Whether the test above can fail.
TEST(SplitConv2dTest, NoticesASharedWorkspace) {
  int seen = 0;
  for (std::uint32_t seed = 0; seed < 8; ++seed) {
    const auto device = split_device({.branches = Branches::kInterleaved, .branch_seed = seed});
    const auto conv = make_conv2d(*device, {.batch = 1,
                                            .height = 2,
                                            .width = 2,
                                            .channels = 8,
                                            .out_channels = 8,
                                            .filter_h = 1,
                                            .filter_w = 1});
    const DeviceMemory x(*device, 128, "x"), w(*device, 256, "w"), y(*device, 128, "y"),
        dw(*device, 256, "dw"),
        workspace(*device, std::max(conv->workspace_bytes(), conv->filter_workspace_bytes()), "workspace");
    const auto stream = device->make_stream();
    try {
      for (int i = 0; i < 4; ++i) {
        stream->fork(
            [&] { conv->backward_filter(*stream, x.data(), y.data(), dw.data(), workspace.data()); });
        conv->backward_data(*stream, y.data(), w.data(), x.data(), false, workspace.data());
        stream->join();
      }
    } catch (const Error&) {
      ++seen;
    }
  }
  EXPECT_GT(seen, 4);
}

// Three more gradients, and the workspace of the branch; a plan counts them.
TEST(BranchMemoryTest, IsPlannedWhereTheDeviceHasBranches) {
  const TrainOptions o = options_of(DType::kF16);
  BranchRun off(o), on(o, every_order()[0]);
  const std::size_t gradient = 8 * 8 * 8 * 8 * 2;  // of the first stage: 8 images of 8x8 with 8 channels
  const std::size_t more = on.pool.scratch_bytes() - off.pool.scratch_bytes();
  EXPECT_GT(more, 3 * gradient);
  EXPECT_LE(more, 3 * gradient + off.pool.scratch_bytes());
  for (const BranchRun* run : {&off, &on}) {
    const SmallRun planned(o, std::make_unique<PlanningDevice>(*run->device), StreamMode::kImmediate);
    EXPECT_EQ(planned.pool.scratch_bytes(), run->pool.scratch_bytes());
  }
}

}  // namespace
}  // namespace tdds
