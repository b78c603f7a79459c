#pragma once
// Device memory with a few bytes behind its end that no kernel may write. They are 0xFF like all new memory,
// so floats that are read from there are NaN.

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "kernels/runtime/device.h"
#include "kernels/runtime/stream.h"

namespace tdds::test {

class BoundedMemory {
 public:
  BoundedMemory() = default;
  BoundedMemory(Device& device, std::size_t bytes)
      : memory_(device, bytes + kBehind, "memory of a test"), bytes_(bytes) {}

  void* data() const { return memory_.data(); }
  std::size_t bytes() const { return bytes_; }
  template <class T>
  T* get() const {
    return memory_.get<T>();
  }

  void expect_unwritten_behind(Stream& stream) const {
    std::vector<std::byte> behind(kBehind);
    stream.download(behind.data(), get<std::byte>() + bytes_, kBehind);
    stream.synchronize();
    EXPECT_EQ(behind, std::vector<std::byte>(kBehind, std::byte{0xFF}))
        << "written behind the end of " << bytes_ << " bytes";
  }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr std::size_t kBehind = 0;  // the sanitizer sees reads and writes behind the exact size
#else
  static constexpr std::size_t kBehind = 64;
#endif

  DeviceMemory memory_;
  std::size_t bytes_ = 0;
};

}  // namespace tdds::test
