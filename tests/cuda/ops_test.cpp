// The ops that cuDNN and cuBLAS compute on the GPU, against their definitions, in every precision. The `cpu`
// cases check the test itself. Filters are random, so a flipped or transposed filter is wrong in every
// element.
#include <gtest/gtest.h>

#include <array>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/linear.h"
#include "tests/cuda/library_shapes.h"
#include "tests/kernels/op_test.h"

namespace tdds::test {
namespace {

struct LibraryCase {
  const char* name;
  OpCase op;
  Conv2dMath math;
  double unit;  // relative error of one operand when the device reads it
};

// fp32 sums differ from double sums by a few units of 2^-24 per term. tf32 has 10 bits of mantissa and
// truncates or rounds: at most 2^-10. `expect_close` accounts for storing the result in its type.
const LibraryCase kCases[] = {
    {"cpu_fp32", {DeviceKind::kCpu, DType::kF32}, Conv2dMath::kExact, 0x1p-22},
    {"cuda_fp32", {DeviceKind::kCuda, DType::kF32}, Conv2dMath::kExact, 0x1p-20},  // Winograd loses more bits
    {"cuda_tf32", {DeviceKind::kCuda, DType::kF32}, Conv2dMath::kTf32, 0x1p-10},
    {"cuda_fp16", {DeviceKind::kCuda, DType::kF16}, Conv2dMath::kExact, 0x1p-22},
    {"cuda_bf16", {DeviceKind::kCuda, DType::kBf16}, Conv2dMath::kExact, 0x1p-22}};

class LibraryOpTest : public OpTest {};

// OpTest knows the device and the type; the rest of the case is found by its name.
const LibraryCase& case_named(const std::string& test_name) {
  for (const LibraryCase& one : kCases)
    if (test_name.ends_with(one.name)) return one;
  throw Error("no such case: " + test_name);
}
const LibraryCase& current_case() {
  return case_named(testing::UnitTest::GetInstance()->current_test_info()->name());
}

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases;
  for (const LibraryCase& one : kCases) cases.push_back(one.op);
  return cases;
}
std::string case_name(const testing::TestParamInfo<OpCase>& info) {
  return kCases[info.index].name;
}

struct Products {
  std::vector<double> value, size;  // the sums, and the sums of absolute products that bound their error
  explicit Products(std::size_t n) : value(n), size(n) {}
  void add(std::size_t at, double a, double b) {
    value[at] += a * b;
    size[at] += std::abs(a * b);
  }
};

void expect_close(const std::vector<float>& got, const Products& want, DType dtype, const char* what) {
  const double unit = current_case().unit, stored = dtype == DType::kF32 ? 0 : unit_roundoff(dtype);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double bound = 2 * unit * want.size[i] + stored * std::abs(want.value[i]) + 1e-6;
    if (!(std::abs(got[i] - want.value[i]) <= bound) && ++wrong == 1)
      ADD_FAILURE() << what << "[" << i << "]: " << got[i] << ", want " << want.value[i] << " within "
                    << bound;
  }
  EXPECT_EQ(wrong, 0u) << what << ", of " << got.size();
}

template <class Visit>
void for_each_product(const Conv2dSpec& s, const Visit& visit) {
  for (int b = 0; b < s.batch; ++b)
    for (int p = 0; p < s.out_height(); ++p)
      for (int q = 0; q < s.out_width(); ++q)
        for (int r = 0; r < s.filter_h; ++r)
          for (int t = 0; t < s.filter_w; ++t) {
            const int h = p * s.stride + r - s.padding, w = q * s.stride + t - s.padding;
            if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
            for (int k = 0; k < s.out_channels; ++k)
              for (int c = 0; c < s.channels; ++c)
                visit(((b * s.height + h) * s.width + w) * s.channels + c,
                      ((k * s.filter_h + r) * s.filter_w + t) * s.channels + c,
                      ((b * s.out_height() + p) * s.out_width() + q) * s.out_channels + k);
          }
}

TEST_P(LibraryOpTest, ConvolutionMatchesTheDefinition) {
  for (const LibraryShape& shape : kLibraryShapes) {
    const Conv2dSpec spec = shape.spec(dtype(), current_case().math);
    const int size = shape.size, channels = shape.channels, out_channels = shape.out_channels;
    SCOPED_TRACE(fmt::format("{}x{}/{} {} -> {}", size, size, shape.stride, channels, out_channels));
    const std::size_t nx = std::size_t{1} * spec.batch * spec.height * spec.width * channels;
    const std::size_t nw = std::size_t{1} * out_channels * size * size * channels;
    const std::size_t ny = std::size_t{1} * spec.batch * spec.out_height() * spec.out_width() * out_channels;
    const std::vector<float> x = rounded(random_values(nx, 1)), w = rounded(random_values(nw, 2)),
                             dy = rounded(random_values(ny, 3));
    Products y(ny), dx(nx), dw(nw);
    for_each_product(spec, [&](int ix, int iw, int iy) {
      y.add(iy, x[ix], w[iw]);
      dx.add(ix, dy[iy], w[iw]);
      dw.add(iw, dy[iy], x[ix]);
    });
    const auto plan = make_conv2d(device(), spec);
    SCOPED_TRACE(plan->description());
    const auto workspace = empty<std::byte>(plan->workspace_bytes());
    const TypedBuffer on_x = upload_typed(x), on_w = upload_typed(w), on_dy = upload_typed(dy);
    const TypedBuffer on_y = empty_typed(ny), on_dx = empty_typed(nx), on_dw = empty_typed(nw);
    plan->forward(stream(), on_x, on_w, on_y, workspace);
    expect_close(download(on_y), y, dtype(), "y");
    plan->backward_filter(stream(), on_x, on_dy, on_dw, workspace);
    expect_close(download(on_dw), dw, dtype(), "dw");
    plan->backward_data(stream(), on_dy, on_w, on_dx, false, workspace);
    const std::vector<float> once = download(on_dx);
    expect_close(once, dx, dtype(), "dx");
    plan->backward_data(stream(), on_dy, on_w, on_dx, true, workspace);
    Products twice = dx;  // plus the first result, as rounded to the type
    for (std::size_t i = 0; i < nx; ++i) twice.value[i] += once[i];
    expect_close(download(on_dx), twice, dtype(), "dx + dx");
    // The same inputs give the same bits, also in a recording.
    const std::vector<float> first = download(on_dw);
    const auto recording =
        stream().record([&] { plan->backward_filter(stream(), on_x, on_dy, on_dw, workspace); });
    stream().zero(on_dw, nw * element_size(dtype()));
    stream().replay(*recording);
    EXPECT_EQ(download(on_dw), first);
  }
}

TEST_P(LibraryOpTest, LinearMatchesTheDefinition) {
  if (dtype() != DType::kF32 || current_case().math == Conv2dMath::kTf32)
    GTEST_SKIP() << "the head is fp32 in every precision";
  for (const auto& [batch, in, out] : {std::array<int, 3>{5, 7, 3}, {33, 130, 100}, {1, 8, 1}}) {
    const std::vector<float> x = random_values(std::size_t{1} * batch * in, 1),
                             w = random_values(std::size_t{1} * out * in, 2), b = random_values(out, 3),
                             dy = random_values(std::size_t{1} * batch * out, 4);
    Products y(batch * out), dx(batch * in), dw(out * in), db(out);
    for (int i = 0; i < batch; ++i)
      for (int k = 0; k < out; ++k) {
        y.add(i * out + k, b[k], 1);
        db.add(k, dy[i * out + k], 1);
        for (int c = 0; c < in; ++c) {
          y.add(i * out + k, x[i * in + c], w[k * in + c]);
          dx.add(i * in + c, dy[i * out + k], w[k * in + c]);
          dw.add(k * in + c, dy[i * out + k], x[i * in + c]);
        }
      }
    const auto plan = make_linear(device(), {.batch = batch, .in_features = in, .out_features = out});
    const auto on_x = upload(x), on_w = upload(w), on_b = upload(b), on_dy = upload(dy);
    const auto on_y = empty<float>(batch * out), on_dx = empty<float>(batch * in),
               on_dw = empty<float>(out * in), on_db = empty<float>(out);
    plan->forward(stream(), on_x, on_w, on_b, on_y);
    plan->backward(stream(), on_x, on_w, on_dy, on_dx, on_dw, on_db);
    expect_close(download(on_y), y, DType::kF32, "y");
    expect_close(download(on_dx), dx, DType::kF32, "dx");
    expect_close(download(on_dw), dw, DType::kF32, "dw");
    expect_close(download(on_db), db, DType::kF32, "db");
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, LibraryOpTest, testing::ValuesIn(op_cases()), case_name);

}  // namespace
}  // namespace tdds::test
