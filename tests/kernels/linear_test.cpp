#include "kernels/ops/linear.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/runtime/check.h"
#include "kernels/runtime/device.h"

namespace tdds {
namespace {

struct Data {
  std::vector<float> x, w, b, dy;
};
struct Result {
  std::vector<float> y, dx, dw, db;
  bool operator==(const Result&) const = default;
};

Data random_data(const LinearSpec& spec, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  const auto values = [&](std::size_t n) {
    std::vector<float> v(n);
    for (float& value : v) value = normal(generator);
    return v;
  };
  const std::size_t batch = spec.batch, c = spec.in_features, k = spec.out_features;
  return {values(batch * c), values(k * c), values(k), values(batch * k)};
}

class LinearTest : public testing::Test {
 protected:
  Result run(const LinearSpec& spec, const Data& data, StreamMode mode = StreamMode::kImmediate,
             bool recorded = false) {
    const auto plan = make_linear(*device_, spec);
    const auto stream = device_->make_stream(mode);
    const auto memory = [&](const std::vector<float>& v) {
      return DeviceMemory(*device_, v.size() * 4, "a tensor");
    };
    const auto upload = [&](const std::vector<float>& v) {
      DeviceMemory m = memory(v);
      stream->upload(m.data(), v.data(), m.bytes());
      return m;
    };
    const DeviceMemory x = upload(data.x), w = upload(data.w), b = upload(data.b), dy = upload(data.dy);
    const DeviceMemory y = memory(data.dy), dx = memory(data.x), dw = memory(data.w), db = memory(data.b);
    const auto body = [&] {
      plan->forward(*stream, x.get<float>(), w.get<float>(), b.get<float>(), y.get<float>());
      plan->backward(*stream, x.get<float>(), w.get<float>(), dy.get<float>(), dx.get<float>(),
                     dw.get<float>(), db.get<float>());
    };
    std::unique_ptr<Recording> recording;
    if (recorded) {
      recording = stream->record(body);
      stream->replay(*recording);
    } else {
      body();
    }
    Result result{data.dy, data.x, data.w, data.b};
    stream->download(result.y.data(), y.data(), y.bytes());
    stream->download(result.dx.data(), dx.data(), dx.bytes());
    stream->download(result.dw.data(), dw.data(), dw.bytes());
    stream->download(result.db.data(), db.data(), db.bytes());
    stream->synchronize();
    return result;
  }

  const std::unique_ptr<Device> device_ = make_device(DeviceKind::kCpu);
};

// Sums of up to 600 products, each addition rounded: sqrt(600) * 6e-8 = 1.5e-6 of the largest partial sum is
// the bound for each sum; the norm over all is well below it.
constexpr double kError = 1e-6;

double norm_error(const std::vector<float>& got, const std::vector<double>& wanted) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    difference += std::pow(got[i] - wanted[i], 2);
    norm += std::pow(wanted[i], 2);
  }
  return std::sqrt(difference / norm);
}

TEST_F(LinearTest, AgreesWithTheDefinition) {
  for (const LinearSpec spec : {LinearSpec{1, 1, 1}, LinearSpec{100, 512, 100}, LinearSpec{100, 128, 10},
                                LinearSpec{7, 33, 5}, LinearSpec{33, 600, 17}, LinearSpec{1, 64, 1000}}) {
    const Data data = random_data(spec, 5);
    const std::int64_t batch = spec.batch, c_end = spec.in_features, k_end = spec.out_features;
    std::vector<double> y(batch * k_end), dx(batch * c_end), dw(k_end * c_end), db(k_end);
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t k = 0; k < k_end; ++k) {
        const double dy = data.dy[b * k_end + k];
        y[b * k_end + k] += data.b[k];
        db[k] += dy;
        for (std::int64_t c = 0; c < c_end; ++c) {
          y[b * k_end + k] += double{data.x[b * c_end + c]} * data.w[k * c_end + c];
          dx[b * c_end + c] += dy * data.w[k * c_end + c];
          dw[k * c_end + c] += dy * data.x[b * c_end + c];
        }
      }
    const Result got = run(spec, data);
    const std::string where = fmt::format("{} x {} -> {}", batch, c_end, k_end);
    EXPECT_LT(norm_error(got.y, y), kError) << where;
    EXPECT_LT(norm_error(got.dx, dx), kError) << where;
    EXPECT_LT(norm_error(got.dw, dw), kError) << where;
    EXPECT_LT(norm_error(got.db, db), kError) << where;
  }
}

TEST_F(LinearTest, ByHand) {
  const Result got = run({2, 2, 1}, {{1, 2, 3, 4}, {10, 100}, {0.5F}, {1, -2}});
  EXPECT_EQ(got, (Result{{210.5F, 430.5F}, {10, 100, -20, -200}, {-5, -6}, {-1}}));
}

TEST_F(LinearTest, TheNumberOfThreadsDoesNotMatter) {
  const int threads = omp_get_max_threads();
  for (const LinearSpec spec : {LinearSpec{100, 512, 100}, LinearSpec{128, 128, 10}}) {
    const Data data = random_data(spec, 6);
    omp_set_num_threads(1);
    const Result one = run(spec, data);
    for (const int count : {2, 3, 4}) {
      omp_set_num_threads(count);
      EXPECT_EQ(run(spec, data), one) << count << " threads";
    }
    omp_set_num_threads(threads);
  }
}

TEST_F(LinearTest, DeferredAndRecordedRunsHaveTheSameBits) {
  const LinearSpec spec{20, 48, 10};
  const Data data = random_data(spec, 7);
  const Result wanted = run(spec, data);
  EXPECT_EQ(run(spec, data, StreamMode::kDeferred), wanted);
  EXPECT_EQ(run(spec, data, StreamMode::kDeferred, true), wanted);
}

TEST_F(LinearTest, RejectsEmptySizes) {
  EXPECT_THROW(make_linear(*device_, {0, 8, 8}), Error);
  EXPECT_THROW(make_linear(*device_, {8, -8, 8}), Error);
  EXPECT_THROW(make_linear(*device_, {8, 8, 0}), Error);
}

}  // namespace
}  // namespace tdds
