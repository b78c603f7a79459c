#pragma once
// A pointer with an element type and a shape. It does not own the memory.
//
// Dimension letters used throughout: B batch, H W height and width, C input channels, K output channels or
// classes, R S filter, N samples, T trajectory length in epochs, J window size.
// Activations are NHWC, filters KRSC, both dense and row-major.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace tdds {

enum class DType : std::uint8_t { kF32, kF16, kBf16, kF64, kI32, kI64, kU8 };

std::size_t element_size(DType type);
const char* to_string(DType type);

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  std::array<std::int64_t, 4> shape{};  // entries past rank are 0

  std::int64_t elements() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * element_size(dtype); }
  template <class T>
  T* get() const {
    return static_cast<T*>(data);
  }
};

TensorView make_view(void* data, DType dtype, std::initializer_list<std::int64_t> shape);

// "[100, 32, 32, 64]", for messages.
std::string shape_text(const TensorView& view);

}  // namespace tdds
