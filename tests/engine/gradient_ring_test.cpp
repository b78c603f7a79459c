#include "engine/gradient_ring.h"

#include <gtest/gtest.h>

#include <set>

namespace tdds {
namespace {

// A ring of `buffers` on a device with branches, and a stream whose forks it joins.
struct Ring {
  std::unique_ptr<Device> device = make_device(DeviceKind::kCpu, {.branches = Branches::kAtJoin});
  std::unique_ptr<Stream> stream = device->make_stream();
  Arena scratch{"scratch"};
  GradientRing ring;

  explicit Ring(std::size_t buffers) {
    for (int i = 0; i < 2; ++i) {
      scratch.begin();
      ring.bind(scratch, buffers, 1000);
      if (i == 0) scratch.place(*device);
    }
  }
  void* take() { return ring.take(*stream); }
  Stream::Fork fork() {
    return stream->fork([] {});
  }
};

TEST(GradientRingTest, HandsOutEachBufferOnceAndThenTheOneGivenBackFirst) {
  Ring r(3);
  void *a = r.take(), *b = r.take(), *c = r.take();
  EXPECT_EQ((std::set{a, b, c}).size(), 3u);
  EXPECT_THROW(r.take(), Error);
  r.ring.give_back(b);
  r.ring.give_back(a);
  EXPECT_EQ(r.take(), b);
  EXPECT_EQ(r.take(), a);
  EXPECT_THROW(r.take(), Error);
}

TEST(GradientRingTest, JoinsTheForkThatReadsABufferAndNoLaterOne) {
  Ring r(2);
  void *a = r.take(), *b = r.take();
  r.ring.give_back(a, r.fork());
  r.ring.give_back(b, r.fork());
  EXPECT_EQ(r.take(), a);
  EXPECT_FALSE(r.stream->joined());
  EXPECT_EQ(r.take(), b);
  EXPECT_TRUE(r.stream->joined());
  r.fork();
  r.ring.give_back(a);
  EXPECT_EQ(r.take(), a);
  EXPECT_FALSE(r.stream->joined()) << "no fork reads it";
  r.stream->synchronize();
}

// A copy starts a step: its buffers are free again, whatever the last step did.
TEST(GradientRingTest, ACopyHandsOutTheSameBuffers) {
  Ring r(3);
  GradientRing first = r.ring, second = r.ring;
  void* taken = first.take(*r.stream);
  EXPECT_EQ(second.take(*r.stream), taken);
}

TEST(GradientRingTest, IsLargerWhereTheBranchMayLagBehind) {
  EXPECT_EQ(GradientRing::buffers_for(*make_device(DeviceKind::kCpu)), 3u);
  EXPECT_EQ(GradientRing::buffers_for(*Ring(1).device), 6u);
}

}  // namespace
}  // namespace tdds
