#pragma once
// Fully connected layer, always fp32:  y = x W^T + b;  dx = dy W;  dW = dy^T x;  db[k] = sum_b dy[b,k].
// x [B,C], W [K,C], b [K], y [B,K]. dW and db are overwritten, not accumulated. Arguments must not alias.

#include <cstdint>
#include <memory>

namespace tdds {

class Device;
class Stream;

struct LinearSpec {
  std::int32_t batch, in_features, out_features;
};

class Linear {
 public:
  explicit Linear(const LinearSpec& spec) : spec_(spec) {}
  virtual ~Linear() = default;
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  const LinearSpec& spec() const { return spec_; }
  virtual void forward(Stream& stream, const float* x, const float* w, const float* b, float* y) = 0;
  virtual void backward(Stream& stream, const float* x, const float* w, const float* dy, float* dx, float* dw,
                        float* db) = 0;

 private:
  LinearSpec spec_;
};

std::unique_ptr<Linear> make_linear(Device& device, const LinearSpec& spec);

}  // namespace tdds
