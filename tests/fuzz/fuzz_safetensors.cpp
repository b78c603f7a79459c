#include <vector>

#include "engine/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return tdds::fuzz::try_to(data, size, [](std::string_view bytes) {
    const tdds::fuzz::MemoryFile memory(bytes);
    const tdds::SafetensorsFile file(memory.path());
    for (const tdds::StoredTensor& tensor : file.tensors()) {
      std::vector<char> values(tensor.bytes);
      file.read(tensor, values.data());
    }
  });
}
