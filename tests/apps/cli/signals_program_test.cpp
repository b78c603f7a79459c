// Signals that ask a program to save and end, in every phase of a program.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <thread>

#include "tests/apps/program.h"
#include "tests/apps/tiny_run.h"
#include "tests/engine/image_files.h"

namespace tdds::test {
namespace {

namespace fs = std::filesystem;

class SignalsProgramTest : public testing::Test {
 protected:
  static void expect_stopped(const Outcome& outcome, int signal, const std::string& says) {
    EXPECT_EQ(outcome.exit_code, 128 + signal) << outcome.err;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err << "expected: " << says;
  }
  // The run's folder is made after the handlers are installed, and then the data are loaded.
  Limits while_loading(int signal) const {
    fs::remove_all(run_);
    return {.interrupt_when = [this] { return fs::exists(run_) && !fs::exists(run_ + "/log.txt"); },
            .interrupt = signal};
  }
  void expect_equal_runs(const std::string& a, const std::string& b) const {
    EXPECT_TRUE(model_bytes(a) == model_bytes(b));
    EXPECT_TRUE(read_text(a + "/dynamics.tdds") == read_text(b + "/dynamics.tdds"));
    EXPECT_EQ(metrics_but_times(a), metrics_but_times(b));
  }

  TemporaryFolder folder_;
  const std::string run_ = folder_ / "run", whole_ = folder_ / "whole";
};

// With a checkpoint after every step.
class TrainingSignalsTest : public SignalsProgramTest {
 protected:
  void SetUp() override { ASSERT_EQ(run_tool("tdds-train", args(whole_)).exit_code, 0); }
  std::vector<std::string> args(const std::string& folder) const {
    return with(tiny(folder, 3),
                {"--batch-size", "30", "--dynamics", "--checkpoint_minutes", "0", "--resume"});
  }
  Outcome train(const Limits& limits = {}) const { return run_tool("tdds-train", args(run_), limits); }
  // At a step in the middle of the second epoch.
  Limits in_the_middle(int signal, int ignored = 0) const {
    const auto within = [this] {
      const auto at = checkpoint_state(run_);
      return at && at->epoch == 1 && at->cursor > 0 && at->cursor <= 120;
    };
    return {.interrupt_when = within, .interrupt = signal, .ignored = ignored};
  }
};

TEST_F(TrainingSignalsTest, EachSavesAndTheResumedRunHasTheSameBits) {
  for (const int signal : {SIGHUP, SIGINT, SIGUSR1, SIGTERM}) {
    fs::remove_all(run_);
    expect_stopped(train(in_the_middle(signal)), signal, "stopped in epoch 2 of 3 at image");
    ASSERT_EQ(train().exit_code, 0);
    expect_equal_runs(run_, whole_);
  }
}

TEST_F(TrainingSignalsTest, SignalsThatNohupOrAShellIgnoresStayIgnored) {
  for (const int signal : {SIGHUP, SIGINT}) {
    fs::remove_all(run_);
    const Outcome outcome = train(in_the_middle(signal, signal));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_equal_runs(run_, whole_);
  }
}

TEST_F(TrainingSignalsTest, SignalsThatALibraryTakesStayIgnored) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "with sanitizers a program does not look before its libraries do";
#endif
  const ScopedVariable preload("LD_PRELOAD", preload_path("takes_signals").c_str());
  for (const int signal : {SIGHUP, SIGINT}) {
    fs::remove_all(run_);
    EXPECT_EQ(train(in_the_middle(signal, signal)).exit_code, 0);
    fs::remove_all(run_);
    expect_stopped(train(in_the_middle(signal)), signal, "stopped in epoch 2 of 3 at image");
  }
}

TEST_F(SignalsProgramTest, TheInterruptedTestsOfAnEpochAreRunAgain) {
  const auto args = [](const std::string& folder) {
    return with(tiny(folder, 2), {"--batch-size", "30", "--dynamics", "--checkpoint_minutes", "0", "--resume",
                                  "--shapes_test", "3000"});
  };
  ASSERT_EQ(run_tool("tdds-train", args(whole_)).exit_code, 0);
  const auto before_the_last_step = [&] {
    const auto at = checkpoint_state(run_);
    return at && at->epoch == 0 && at->cursor == 210;
  };
  const Outcome stopped =
      run_tool("tdds-train", args(run_), {.interrupt_when = before_the_last_step, .interrupt = SIGTERM});
  expect_stopped(stopped, SIGTERM, "stopped in epoch 1 of 2 at image 2");
  EXPECT_TRUE(metrics_but_times(run_).empty());
  ASSERT_EQ(run_tool("tdds-train", args(run_)).exit_code, 0);
  expect_equal_runs(run_, whole_);

  const auto before = fs::file_size(run_ + "/log.txt");
  const auto evaluates = [&] { return fs::file_size(run_ + "/log.txt") > before; };
  const Outcome evaluated = run_tool("tdds-train", with(args(run_), {"--evaluate", "--shapes_test", "20000"}),
                                     {.interrupt_when = evaluates, .interrupt = SIGUSR1});
  expect_stopped(evaluated, SIGUSR1, "stopped while the test images were evaluated");
}

TEST_F(SignalsProgramTest, DrawingImagesCanBeStopped) {
  const std::vector<std::string> args = with(tiny(run_, 1), {"--shapes_train", "150000"});
  for (const int signal : {SIGHUP, SIGTERM})
    expect_stopped(run_tool("tdds-train", args, while_loading(signal)), signal,
                   "while the data set was loaded");
}

// One photograph under many names.
class LoadingSignalsTest : public SignalsProgramTest {
 protected:
  void SetUp() override {
    const std::string first = folder_ / "photo.jpg";
    write_text(first, jpeg_bytes(test_pixels(1, 2400, 1600), 2400, 1600));
    for (const std::string split : {"train", "val"})
      for (const std::string name : {"cat", "dog"})
        for (int i = 0; i < (split == "train" ? 60 : 2); ++i) {
          const fs::path to = fs::path(data_) / split / name / (std::to_string(i) + ".jpg");
          fs::create_directories(to.parent_path());
          fs::create_hard_link(first, to);
        }
  }
  std::vector<std::string> args(const std::string& folder, const std::string& cache) const {
    return {"--dataset", "folder", "--data_path",     data_,  "--image_size", "8",  "--width",     "0.03125",
            "--epochs",  "2",      "--learning_rate", "0.01", "--batch-size", "40", "--save_path", folder,
            "--threads", "2",      "--cache_dir",     cache};
  }
  Outcome train(const std::string& folder, const std::string& cache, const Limits& limits = {}) const {
    return run_tool("tdds-train", with(args(folder, cache), {"--dynamics"}), limits);
  }
  const std::string data_ = folder_ / "data";
};

TEST_F(LoadingSignalsTest, DecodingContinuesWhereItStopped) {
  const Outcome whole = train(whole_, folder_ / "cache_of_whole");
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_NE(whole.err.find("reading "), std::string::npos) << "its progress is shown";
  const std::string cache = folder_ / "cache";
  for (const int signal : {SIGTERM, SIGINT}) {
    const Outcome stopped = train(run_, cache, while_loading(signal));
    expect_stopped(stopped, signal, "what was decoded is kept in " + cache);
    EXPECT_FALSE(fs::exists(run_ + "/log.txt"));
  }
  const Outcome resumed = train(run_, cache);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_equal_runs(run_, whole_);
  const std::string swept = folder_ / "cache_of_sweep";
  const Outcome sweep = run_tool(
      "tdds-sweep", with(args(folder_ / "sweep", swept), {"--rates", "0.5", "--seeds", "1", "--epochs", "3"}),
      {.interrupt_when = [&] { return fs::exists(swept); }, .interrupt = SIGTERM});
  expect_stopped(sweep, SIGTERM, "what was decoded is kept in " + swept);
}

// Sends only the beginning of a file, for as long as it exists.
class StallingServer {
 public:
  StallingServer() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    if (bind(socket_, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(socket_, 1) != 0 ||
        getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error("no server");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  StallingServer(const StallingServer&) = delete;
  StallingServer& operator=(const StallingServer&) = delete;
  ~StallingServer() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  bool stalls() const { return stalls_; }

 private:
  void serve() {
    const int client = accept(socket_, nullptr, nullptr);
    if (client < 0) return;
    std::array<char, 4096> request{};
    const std::string begin = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nbegin";
    if (read(client, request.data(), request.size()) > 0 &&
        write(client, begin.data(), begin.size()) == static_cast<ssize_t>(begin.size()))
      stalls_ = true;
    pollfd closed{client, POLLIN, 0};
    poll(&closed, 1, 60000);
    close(client);
  }

  int socket_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stalls_{false};
  std::thread thread_;
};

TEST_F(SignalsProgramTest, ADownloadIsStoppedAndLeavesNothing) {
  const StallingServer server;
  const Outcome outcome = run_tool("tdds-train",
                                   {"--dataset", "cifar100", "--data_path", folder_ / "data", "--download",
                                    "--download_url", server.url(), "--save_path", run_},
                                   {.interrupt_when = [&] { return server.stalls(); }, .interrupt = SIGHUP});
  expect_stopped(outcome, SIGHUP, "while the data set was loaded");
  EXPECT_TRUE(fs::is_empty(folder_ / "data"));
}

TEST_F(SignalsProgramTest, ASweepIsStoppedAndContinued) {
  const auto args = [](const std::string& folder) {
    return with(tiny(folder, 3), {"--batch-size", "30", "--methods", "tdds", "--rates", "0.5", "--seeds", "1",
                                  "--subset_batch_size", "30", "--checkpoint_minutes", "0", "--keep_models"});
  };
  ASSERT_EQ(run_tool("tdds-sweep", args(whole_)).exit_code, 0);
  const auto in_the_first_run = [&] { return fs::exists(run_ + "/seed1/all/checkpoint.safetensors"); };
  expect_stopped(
      run_tool("tdds-sweep", args(run_), {.interrupt_when = in_the_first_run, .interrupt = SIGUSR1}), SIGUSR1,
      "stopped in run 1 of 2");
  ASSERT_EQ(run_tool("tdds-sweep", args(run_)).exit_code, 0);
  EXPECT_EQ(read_text(run_ + "/table.csv"), read_text(whole_ + "/table.csv"));
  expect_equal_runs(run_ + "/seed1/all", whole_ + "/seed1/all");
}

}  // namespace
}  // namespace tdds::test
