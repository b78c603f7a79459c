#include "apps/cli/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>

#include "apps/cli/cli.h"

namespace tdds {
namespace {

TEST(InterruptTest, TheFirstSignalIsARequest) {
  const InterruptRequest request;
  EXPECT_FALSE(request.requested());
  std::raise(SIGINT);
  EXPECT_TRUE(request.requested());
  EXPECT_EQ(request.exit_code(), 130);
}

TEST(InterruptTest, SigtermIsARequest) {
  const InterruptRequest request;
  EXPECT_FALSE(request.requested()) << "an earlier request is forgotten";
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

TEST(InterruptDeathTest, AfterARequestSigtermEndsTheProcess) {
  EXPECT_EXIT(
      {
        const InterruptRequest request;
        std::raise(SIGINT);
        std::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(InterruptTest, RepeatedSighupAndSigusr1AreOneRequest) {
  for (const int signal : {SIGHUP, SIGUSR1}) {
    const InterruptRequest request;
    std::raise(signal);
    std::raise(SIGHUP);
    std::raise(SIGUSR1);
    std::raise(SIGTERM);
    EXPECT_TRUE(request.requested());
    EXPECT_EQ(request.exit_code(), 128 + signal) << "the first counts";
  }
}

TEST(InterruptTest, AnIgnoredSignalStaysIgnored) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    const auto before = std::signal(signal, SIG_IGN);
    {
      const InterruptRequest request;
      std::raise(signal);
      EXPECT_FALSE(request.requested());
      std::raise(signal == SIGTERM ? SIGINT : SIGTERM);
      EXPECT_TRUE(request.requested());
      std::raise(signal);
    }
    EXPECT_EQ(std::signal(signal, before), SIG_IGN);
  }
}

TEST(InterruptTest, HeedInterruptThrowsAfterARequest) {
  heed_interrupt("nothing was requested");
  const InterruptRequest request;
  heed_interrupt("nothing was requested");
  std::raise(SIGTERM);
  try {
    heed_interrupt("stopped");
    FAIL() << "the request was ignored";
  } catch (const Interrupted& interrupted) {
    EXPECT_STREQ(interrupted.what(), "stopped");
    EXPECT_EQ(interrupted.exit_code(), 143);
  }
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
