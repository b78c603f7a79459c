#include "engine/io/pickle.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return tdds::fuzz::try_to(data, size, [](std::string_view bytes) {
    const tdds::PickleDocument document(bytes, "f");
    if (const tdds::PickleValue* array = document.root().find("data"))
      for (const char byte : array->data) static_cast<void>(byte);
  });
}
