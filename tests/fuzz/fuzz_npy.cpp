#include <vector>

#include "engine/data/npy_source.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tdds::DType;
  for (const DType type : {DType::kU8, DType::kF32, DType::kI64})
    for (const int rank : {1, 3, 4})
      tdds::fuzz::try_to(data, size, [&](std::string_view bytes) {
        const tdds::fuzz::MemoryFile file(bytes);
        const tdds::NpyReader reader(file.path(), type, rank);
        std::vector<char> values(static_cast<std::size_t>(reader.elements()) * tdds::element_size(type));
        reader.read(0, reader.elements(), values.data());
      });
  tdds::fuzz::try_to(data, size, [](std::string_view bytes) {
    tdds::read_npy_images(tdds::NpyReader("images", std::string(bytes)));
  });
  tdds::fuzz::try_to(data, size, [](std::string_view bytes) {
    tdds::read_npy_labels(tdds::NpyReader("labels", std::string(bytes)));
  });
  tdds::fuzz::try_to(data, size, [](std::string_view bytes) {
    const tdds::fuzz::MemoryFile file(bytes);
    tdds::NpySource npz(file.path(), 1 << 24);
    tdds::read_npy_images(npz.open("train_images"));
    tdds::read_npy_labels(npz.open("train_labels"));
  });
  return 0;
}
