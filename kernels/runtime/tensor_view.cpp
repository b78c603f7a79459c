#include "kernels/runtime/tensor_view.h"

#include <algorithm>

#include "kernels/runtime/check.h"

namespace tdds {

std::size_t element_size(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBf16:
      return 2;
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kU8:
      return 1;
  }
  throw Error("element_size: unknown element type");
}

const char* to_string(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBf16:
      return "bf16";
    case DType::kF64:
      return "f64";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
    case DType::kU8:
      return "u8";
  }
  throw Error("to_string: unknown element type");
}

TensorView make_view(void* data, DType dtype, std::initializer_list<std::int64_t> shape) {
  check(shape.size() <= 4, "make_view: a view has at most 4 dimensions; got {}", shape.size());
  TensorView view{.data = data, .dtype = dtype, .rank = static_cast<int>(shape.size()), .shape = {}};
  std::copy(shape.begin(), shape.end(), view.shape.begin());
  return view;
}

std::string shape_text(const TensorView& view) {
  std::string text = "[";
  for (int i = 0; i < view.rank; ++i) text += (i ? ", " : "") + std::to_string(view.shape[i]);
  return text + "]";
}

}  // namespace tdds
