#include <cstring>

#include "engine/io/crc32.h"
#include "engine/io/dynamics_store.h"
#include "tests/fuzz/fuzz.h"

namespace {

// Almost every input would fail the checksum of the header. It is corrected, so that the reader parses the
// header.
void repair_checksum(std::string& bytes) {
  constexpr std::size_t kPrefix = 64, kChecksum = 16, kDataOffset = 24;
  if (bytes.size() < kPrefix) return;
  std::uint64_t end = 0;
  std::memcpy(&end, bytes.data() + kDataOffset, sizeof(end));
  if (end < kPrefix || end > bytes.size()) return;
  std::memset(bytes.data() + kChecksum, 0, sizeof(std::uint32_t));
  const std::uint32_t sum = tdds::crc32(bytes.data(), end);
  std::memcpy(bytes.data() + kChecksum, &sum, sizeof(sum));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return tdds::fuzz::try_to(data, size, [](std::string_view bytes) {
    std::string repaired(bytes);
    repair_checksum(repaired);
    const tdds::fuzz::MemoryFile file(repaired);
    const tdds::DynamicsReader reader(file.path());
    float sum = 0;
    for (std::int32_t epoch = 0; epoch < reader.epochs(); ++epoch)
      if (reader.has(tdds::DynamicsField::kAbsKl)) sum += reader.kl(epoch)[reader.samples() - 1];
    static_cast<void>(sum);
  });
}
