// Single ops against PyTorch in float64: the cases are those of tests/golden/golden_ops.py.

#include "engine/schedule.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/linear.h"
#include "kernels/ops/pool.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/ops/step_state.h"
#include "tests/golden/golden.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

// Norm of the difference / norm. An op in fp32 makes a few roundings of 6e-8 in sequence, and sums up to
// some hundred terms.
constexpr double kTolerance = 1e-5;

struct ConvCase {
  const char* name;
  std::int32_t stride, padding;
};
constexpr ConvCase kConvolutions[] = {{"conv3x3_s1", 1, 1},  {"conv3x3_s2", 2, 1}, {"conv3x3_s2_odd", 2, 1},
                                      {"conv1x1_s1", 1, 0},  {"conv1x1_s2", 2, 0}, {"conv7x7_s2", 2, 3},
                                      {"conv3x3_wide", 1, 1}};

class OpsGoldenTest : public OpTest {
 protected:
  // A 4-d tensor of the fixture with its channels last; any other as it is.
  std::vector<float> values(const std::string& name) const {
    const auto flat = golden_.floats(name);
    return golden_.shape(name).size() == 4 ? channels_last(flat, golden_.shape(name)) : flat;
  }
  Buffer<float> input(const std::string& name) { return upload(values(name)); }
  Buffer<float> output(const std::string& name) { return empty<float>(values(name).size()); }
  void expect(const Buffer<float>& buffer, const std::string& name) {
    EXPECT_LE(distance(download(buffer), values(name)), kTolerance) << name;
  }

  const Golden golden_{"ops"};
};

TEST_P(OpsGoldenTest, Convolution) {
  for (const ConvCase& c : kConvolutions) {
    const std::string name = std::string(c.name) + ".";
    const auto x = golden_.shape(name + "x"), w = golden_.shape(name + "w");
    const auto at = [](const auto& shape, int i) { return static_cast<std::int32_t>(shape[i]); };
    auto plan = make_conv2d(device(), {at(x, 0), at(x, 2), at(x, 3), at(x, 1), at(w, 0), at(w, 2), at(w, 3),
                                       c.stride, c.padding});
    auto workspace = empty<std::byte>(std::max<std::size_t>(plan->workspace_bytes(), 1));
    auto in = input(name + "x"), filter = input(name + "w"), dy = input(name + "dy");
    auto y = output(name + "y"), dx = output(name + "x"), dw = output(name + "w");
    plan->forward(stream(), in, filter, y, workspace);
    plan->backward_data(stream(), dy, filter, dx, false, workspace);
    plan->backward_filter(stream(), in, dy, dw, workspace);
    expect(y, name + "y");
    expect(dx, name + "dx");
    expect(dw, name + "dw");
  }
}

TEST_P(OpsGoldenTest, BatchNorm) {
  for (const std::string name : {"bn.", "bn_residual_relu.", "bn_shifted."}) {
    const auto shape = golden_.shape(name + "x");
    const std::int64_t rows = shape[0] * shape[2] * shape[3];
    const auto channels = static_cast<std::int32_t>(shape[1]);
    const bool fused = golden_.contains(name + "residual");
    auto x = input(name + "x"), weight = input(name + "weight"), bias = input(name + "bias");
    auto dy = input(name + "dy"), residual = input(name + (fused ? "residual" : "x"));
    auto running_mean = input(name + "running_mean"), running_var = input(name + "running_var");
    auto batches = upload<std::int64_t>({0});
    auto workspace = empty<std::byte>(batchnorm_workspace_bytes(rows, channels));
    auto mask = empty<std::uint8_t>(batchnorm_mask_bytes(rows, channels, DType::kF32));
    auto tickets = upload(std::vector<std::uint32_t>(2 * batchnorm_tickets(channels), 0));
    auto mean = output(name + "mean"), inv_std = output(name + "mean"), y = output(name + "x");
    auto inference = output(name + "x"), dx = output(name + "x"), dresidual = output(name + "x");
    auto dweight = output(name + "mean"), dbias = output(name + "mean");
    const float* add = fused ? residual.data() : nullptr;
    batchnorm_inference(stream(), {x, add, weight, bias, running_mean, running_var, inference, rows, channels,
                                   1e-5f, DType::kF32, fused});
    batchnorm_forward(stream(), {x, add, weight, bias, running_mean, running_var, batches, mean, inv_std, y,
                                 rows, channels, 1e-5f, 0.1f, DType::kF32, fused, workspace, mask, tickets});
    batchnorm_backward(stream(),
                       {x, y, dy, weight, bias, mean, inv_std, dweight, dbias, dx,
                        fused ? dresidual.data() : nullptr, rows, channels, DType::kF32, fused, workspace,
                        fused ? mask.data() : nullptr, tickets.data() + batchnorm_tickets(channels)});
    expect(inference, name + "inference");
    expect(mean, name + "mean");
    expect(inv_std, name + "inv_std");
    expect(y, name + "y");
    expect(running_mean, name + "running_mean_after");
    expect(running_var, name + "running_var_after");
    expect(dweight, name + "dweight");
    expect(dbias, name + "dbias");
    expect(dx, name + "dx");
    if (fused) expect(dresidual, name + "dresidual");
    EXPECT_EQ(download(batches)[0], 1);
  }
}

TEST_P(OpsGoldenTest, Linear) {
  for (const std::string name : {"linear10.", "linear100."}) {
    const auto x_shape = golden_.shape(name + "x"), w_shape = golden_.shape(name + "w");
    auto plan =
        make_linear(device(), {static_cast<std::int32_t>(x_shape[0]), static_cast<std::int32_t>(x_shape[1]),
                               static_cast<std::int32_t>(w_shape[0])});
    auto x = input(name + "x"), w = input(name + "w"), b = input(name + "b"), dy = input(name + "dy");
    auto y = output(name + "y"), dx = output(name + "x"), dw = output(name + "w"), db = output(name + "b");
    plan->forward(stream(), x, w, b, y);
    plan->backward(stream(), x, w, dy, dx, dw, db);
    expect(y, name + "y");
    expect(dx, name + "dx");
    expect(dw, name + "dw");
    expect(db, name + "db");
  }
}

TEST_P(OpsGoldenTest, GlobalAveragePool) {
  const auto shape = golden_.shape("pool.x");
  const auto batch = static_cast<std::int32_t>(shape[0]), channels = static_cast<std::int32_t>(shape[1]);
  const auto positions = static_cast<std::int32_t>(shape[2] * shape[3]);
  auto x = input("pool.x"), dy = input("pool.dy"), y = output("pool.y"), dx = output("pool.x");
  global_avg_pool(stream(), {x, y, batch, positions, channels, DType::kF32});
  global_avg_pool_backward(stream(), {dy, dx, batch, positions, channels, DType::kF32});
  expect(y, "pool.y");
  expect(dx, "pool.dx");
}

TEST_P(OpsGoldenTest, CrossEntropy) {
  for (const std::string name : {"cross_entropy10.", "cross_entropy100."}) {
    const auto shape = golden_.shape(name + "logits");
    const auto batch = static_cast<std::int32_t>(shape[0]), classes = static_cast<std::int32_t>(shape[1]);
    const auto wide = golden_.ints(name + "label");
    auto logits = input(name + "logits"), weight = upload<float>({0.37f});
    auto label = upload(std::vector<std::int32_t>(wide.begin(), wide.end()));
    std::vector<std::int32_t> ids(batch);
    for (std::int32_t i = 0; i < batch; ++i) ids[i] = i;
    auto order = upload(ids);
    auto state = upload<StepState>({state_at(0, 0, 0)});
    for (const bool weighted : {false, true}) {
      auto dlogits = output(name + "logits"), loss = output(name + "loss");
      SoftmaxKlArgs args{};
      args.logits = logits;
      args.labels = label;
      args.order = order;
      args.state = state;
      args.dlogits = dlogits;
      args.out.loss = loss;
      args.batch_weight = weighted ? weight.data() : nullptr;
      args.loss_scale = 1;
      args.batch = batch;
      args.classes = classes;
      softmax_kl(stream(), args);
      expect(dlogits, name + (weighted ? "weighted" : "dlogits"));
      const auto got = download(loss), want = values(name + "loss");
      for (std::size_t b = 0; b < want.size(); ++b)
        EXPECT_NEAR(got[b], want[b], kTolerance * want[b]) << name << b;
    }
  }
}

TEST_P(OpsGoldenTest, Sgd) {
  for (const bool nesterov : {true, false}) {
    const std::string name = nesterov ? "sgd_nesterov." : "sgd_plain.";
    auto w = input(name + "w0"), lr = input(name + "lr");
    auto v = upload(std::vector<float>(w.n, 0.0f));
    const auto gradients = values(name + "g");
    for (std::size_t step = 0; step < 3; ++step) {
      auto g =
          upload(std::vector<float>(gradients.begin() + step * w.n, gradients.begin() + (step + 1) * w.n));
      auto state = upload<StepState>({state_at(step, 0, 0)});
      sgd(stream(), {w, v, g, nullptr, lr, state, static_cast<std::int64_t>(w.n), DType::kF32, DType::kF32,
                     0.9f, 5e-4f, 1.0f, nesterov});
      expect(w, name + "w" + std::to_string(step + 1));
      expect(v, name + "v" + std::to_string(step + 1));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, OpsGoldenTest, testing::ValuesIn(every_device()), name_of_case);

// The table is float32: half a unit in the last place of float64's value.
TEST(ScheduleGoldenTest, IsPyTorchsCosineAnnealing) {
  const Golden golden("ops");
  for (const std::string name : {"full", "batch_128", "subset", "short"}) {
    const std::string prefix = "schedule." + name + ".";
    const double t_max = golden.doubles(prefix + "t_max")[0];
    const auto steps = golden.ints(prefix + "t");
    const auto rates = golden.doubles(prefix + "lr");
    const auto table = cosine_schedule(rates[0], t_max, golden.ints(prefix + "steps")[0]);
    for (std::size_t i = 0; i < steps.size(); ++i)
      EXPECT_FLOAT_EQ(table[steps[i]], static_cast<float>(rates[i])) << name << " at " << steps[i];
  }
  EXPECT_EQ(full_t_max(200, 50000, 128), golden.doubles("schedule.batch_128.t_max")[0]);
  EXPECT_EQ(subset_t_max(200, 50000, 0.7, 100), golden.doubles("schedule.subset.t_max")[0]);
}

}  // namespace
}  // namespace tdds::test
