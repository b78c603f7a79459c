#include "engine/arena.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace tdds {
namespace {

TEST(ArenaTest, MeasuresDryThenPlacesEveryBufferAlignedAndApart) {
  const auto device = make_device(DeviceKind::kCpu);
  Arena arena("test");
  const auto bind = [&] {
    arena.begin();
    return std::pair{arena.take(100), arena.take(1)};
  };
  EXPECT_EQ(bind(), (std::pair<void*, void*>{nullptr, nullptr}));
  EXPECT_EQ(arena.bytes(), 512u);
  const std::int64_t before = device->allocations();
  arena.place(*device);
  const auto [a, b] = bind();
  EXPECT_EQ(device->allocations(), before + 1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % Arena::kAlignment, 0u);
  EXPECT_EQ(static_cast<std::byte*>(b) - static_cast<std::byte*>(a), 256);
}

TEST(ArenaTest, IsAsLargeAsTheLargestBindingAndRefusesMore) {
  const auto device = make_device(DeviceKind::kCpu);
  Arena arena("test");
  arena.begin();
  arena.take(1000);
  arena.begin();
  arena.take(10);
  EXPECT_EQ(arena.bytes(), 1024u);
  arena.place(*device);
  arena.begin();
  arena.take(1024);
  EXPECT_THROW(arena.take(1), Error);
}

}  // namespace
}  // namespace tdds
