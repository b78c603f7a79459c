#include "kernels/ops/head.h"

#include <algorithm>

#include "kernels/ops/feature_norm.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

class HeadTest : public OpTest {};

// Batches, features and classes that no vector, warp or block divides; more classes than a warp processes.
const HeadShape kShapes[] = {{1, 1, 1, 2, {}},      {2, 16, 64, 10, {}}, {99, 1, 24, 5, {}},
                             {100, 4, 37, 100, {}}, {125, 2, 72, 3, {}}, {128, 1, 520, 10, {}},
                             {3, 49, 8, 1027, {}}};

TEST_P(HeadTest, MatchesTheDefinition) {
  for (HeadShape s : kShapes) {
    s.dtype = dtype();
    SCOPED_TRACE(fmt::format("[{}, {}, {}] {} classes", s.batch, s.positions, s.features, s.classes));
    const std::size_t b = s.batch, p = s.positions, f = s.features, k = s.classes;
    const auto x = rounded(random_values(b * p * f, 1)), w = random_values(k * f, 2, 0, 0.1),
               bias = random_values(k, 3), dlogits = random_values(b * k, 4, 0, 0.1);
    std::vector<double> features(b * f), logits(b * k), dx(b * p * f), dw(k * f), db(k);
    for (std::size_t i = 0; i < b; ++i) {
      for (std::size_t j = 0; j < p * f; ++j)
        features[i * f + j % f] += static_cast<double>(x[i * p * f + j]) / static_cast<double>(p);
      for (std::size_t c = 0; c < k; ++c) {
        const double dy = dlogits[i * k + c];
        logits[i * k + c] = bias[c];
        db[c] += dy;
        for (std::size_t j = 0; j < f; ++j) {
          logits[i * k + c] += features[i * f + j] * w[c * f + j];
          dw[c * f + j] += features[i * f + j] * dy;
          for (std::size_t q = 0; q < p; ++q)
            dx[(i * p + q) * f + j] += dy * w[c * f + j] / static_cast<double>(p);
        }
      }
    }
    const auto on_x = upload_typed(x), on_dx = empty_typed(x.size());
    const auto on_w = upload(w), on_bias = upload(bias), on_dlogits = upload(dlogits);
    const auto on_features = empty<float>(b * f), on_logits = empty<float>(b * k),
               on_dw = empty<float>(k * f), on_db = empty<float>(k), dfeatures = empty<float>(b * f);
    head_forward(stream(), {on_x, on_w, on_bias, on_features, on_logits, s});
    head_backward(stream(), {on_features, on_w, on_dlogits, on_dx, on_dw, on_db, dfeatures, s});
    // Sums of up to 1,027 products in fp32, whose roundings add up like a random walk.
    expect_near(download(on_features), features, tolerance(DType::kF32, 4), 0, "features");
    expect_near(download(on_logits), logits, tolerance(DType::kF32, 4, 30), 0, "logits");
    expect_near(download(on_dw), dw, tolerance(DType::kF32, 2, 30), 0, "dw");
    expect_near(download(on_db), db, tolerance(DType::kF32, 4, 30), 0, "db");
    expect_near(download(on_dx), dx, tolerance(dtype(), 1, 30), 0, "dx");
  }
}

// The loss within the head has the bits of the ops of their own.
TEST_P(HeadTest, TheLossIsThatOfSoftmaxKl) {
  for (const std::int32_t classes : {7, 100, 1030}) {
    const HeadShape s{5, 3, 40, classes, dtype()};
    const std::size_t n = 11, k = static_cast<std::size_t>(classes);
    const auto x = upload_typed(random_values(5 * 3 * 40, 5));
    const auto w = upload(random_values(k * 40, 6, 0, 0.3)), bias = upload(random_values(k, 7));
    const auto features = empty<float>(5 * 40), logits = empty<float>(5 * k);
    std::vector<std::int32_t> ids(n), labels(n);
    for (std::size_t i = 0; i < n; ++i) {
      ids[i] = static_cast<std::int32_t>(i * 4 % n);
      labels[i] = static_cast<std::int32_t>(i) % classes;
    }
    const auto on_labels = upload(labels), order = upload(ids);
    const auto state = upload<StepState>({state_at(0, 2, 1)});
    const auto results = [&](bool fused) {
      const auto dlogits = empty<float>(5 * k), prev = upload(random_values(n * k, 8, -5));
      const std::vector<float> zeros(n, 0);
      const auto kl = upload(zeros), loss = upload(zeros), el2n = upload(zeros), norm = upload(zeros);
      SoftmaxKlArgs args{.logits = logits,
                         .labels = on_labels,
                         .order = order,
                         .state = state,
                         .dlogits = dlogits,
                         .prev_logp = prev,
                         .out = {.kl = kl, .loss = loss, .el2n = el2n},
                         .loss_scale = 1024,
                         .batch = 5,
                         .classes = classes};
      if (fused) {
        head_forward(stream(), {x, w, bias, features, logits, s, args, norm});
      } else {
        head_forward(stream(), {x, w, bias, features, logits, s});
        softmax_kl(stream(), args);
        feature_norm(stream(), {features, order, state, norm, 5, 40});
      }
      return std::vector{download(dlogits), download(prev), download(kl),
                         download(loss),    download(el2n), download(norm)};
    };
    const auto fused = results(true), apart = results(false);
    // A block of another size sums in another order.
    const double tolerated = classes > 1024 ? 1e-5 : 0;
    for (std::size_t i = 0; i < fused.size(); ++i)
      expect_near(fused[i], apart[i], tolerated, tolerated, fmt::format("{} classes, {}", classes, i));
    EXPECT_NE(fused[3], std::vector<float>(n, 0));
    EXPECT_NE(fused[5], std::vector<float>(n, 0));
  }
}

TEST_P(HeadTest, RejectsInvalidArguments) {
  const auto x = upload_typed({1, 2});
  const auto f = upload<float>({1, 2});
  const HeadShape s{1, 1, 2, 1, dtype()};
  EXPECT_THROW(head_forward(stream(), {nullptr, f, f, f, f, s}), Error);
  for (const HeadShape& empty : {HeadShape{0, 1, 2, 1, dtype()},
                                 {1, 0, 2, 1, dtype()},
                                 {1, 1, 0, 1, dtype()},
                                 {1, 1, 2, 0, dtype()}}) {
    EXPECT_THROW(head_forward(stream(), {x, f, f, f, f, empty}), Error);
    EXPECT_THROW(head_backward(stream(), {f, f, f, x, f, f, f, empty}), Error);
  }
  EXPECT_THROW(head_forward(stream(), {x, f, f, f, f, s, {}, f}), Error) << "a norm without a loss";
  EXPECT_THROW(head_forward(stream(), {x, f, f, f, f, s, {.logits = f.data() + 1}}), Error) << "other logits";
  EXPECT_THROW(head_backward(stream(), {f, f, nullptr, x, f, f, f, s}), Error);
}

INSTANTIATE_TEST_SUITE_P(Devices, HeadTest, testing::ValuesIn(every_device_and_type()), name_of_case);

}  // namespace
}  // namespace tdds::test
