#include "apps/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>

namespace tdds {
namespace {

TEST(Interrupt, TheFirstSignalIsARequest) {
  const InterruptRequest request;
  EXPECT_FALSE(request.requested());
  std::raise(SIGINT);
  EXPECT_TRUE(request.requested());
  EXPECT_EQ(request.exit_code(), 130);
}

TEST(Interrupt, SigtermIsHeededToo) {
  const InterruptRequest request;
  EXPECT_FALSE(request.requested()) << "a request of the past is forgotten";
  std::raise(SIGTERM);
  EXPECT_TRUE(request.requested());
  EXPECT_EQ(request.exit_code(), 143);
}

TEST(InterruptDeathTest, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        const InterruptRequest request;
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(InterruptDeathTest, WithoutARequestSignalsEndTheProcess) {
  EXPECT_EXIT(
      {
        { const InterruptRequest request; }
        std::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace tdds
