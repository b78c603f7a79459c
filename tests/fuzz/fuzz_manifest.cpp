#include "engine/data/manifest.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return tdds::fuzz::try_to(data, size, [](std::string_view bytes) {
    const tdds::fuzz::MemoryFile file(bytes);
    const tdds::Manifest manifest = tdds::read_manifest(file.path());
    // A manifest that was read must be unchanged after it is written and read again.
    const tdds::fuzz::MemoryFile again(manifest.text());
    if (tdds::read_manifest(again.path()).hash() != manifest.hash()) std::abort();
  });
}
