#pragma once
// Launches of kernels that a test defines, on simt.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "kernels/gpu/gpu.h"
#include "kernels/ops/ops.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/host_stream.h"
#include "kernels/simt/schedule.h"

namespace tdds::simt {

inline constexpr Schedule kSchedules[] = {{Schedule::Order::kForward},
                                          {Schedule::Order::kReversed},
                                          {Schedule::Order::kShuffled, 1},
                                          {Schedule::Order::kShuffled, 2}};

class SimtLaunchTest : public testing::Test {
 protected:
  // The message of the error that the launch throws; "" if it succeeds.
  template <class... Types, class... Arguments>
  std::string error_of(void (*kernel)(Types...), Dim3 grid, Dim3 block, std::size_t shared_bytes,
                       Arguments... arguments) {
    try {
      launch(*stream_, "seeded", kernel, grid, block, shared_bytes, arguments...);
      stream_->synchronize();
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }
  Device& device() { return *device_; }
  Stream& stream() { return *stream_; }

 private:
  Ops ops_{};
  std::unique_ptr<Device> device_ = make_host_device(DeviceKind::kSimt, ops_);
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamMode::kDeferred);
};

inline void expect_text(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in '" << text << "'";
}

}  // namespace tdds::simt
