#include "apps/cli/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>

#include "apps/cli/cli.h"

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

TEST(InterruptDeathTest, AfterARequestEitherEndsTheProcess) {
  EXPECT_EXIT(
      {
        const InterruptRequest request;
        std::raise(SIGINT);
        std::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(Interrupt, TheEndOfATerminalOrOfAJobsTimeIsARequestHoweverOftenItIsSent) {
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

TEST(Interrupt, AnIgnoredSignalStaysIgnored) {
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

TEST(Interrupt, LongWorkHeedsARequest) {
  heed_interrupt("nothing was requested");
  const InterruptRequest request;
  heed_interrupt("nothing was requested");
  std::raise(SIGTERM);
  try {
    heed_interrupt("stopped");
    FAIL() << "goes on";
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
