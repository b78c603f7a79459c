#include "engine/io/dynamics_store.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "engine/io/crc32.h"
#include "engine/io/npy.h"
#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace {
std::function<void()> on_fdatasync;
}

// Replaces libc's, so that a test sees the content of a file when it is flushed.
extern "C" int fdatasync(int fd) {
  if (on_fdatasync) on_fdatasync();
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace tdds {
namespace {

constexpr std::int64_t kSamples = 37;

DynamicsHeader make_header() {
  DynamicsHeader header;
  header.samples = kSamples;
  header.classes = 10;
  header.dataset = "shapes";
  header.fingerprint = "abc123";
  header.seed = 18446744073709551615u;
  for (int i = 0; i < kSamples; ++i) header.labels.push_back(i % 10);
  return header;
}

EpochDynamics make_epoch(int epoch) {
  EpochDynamics values(kSamples);
  for (int i = 0; i < kSamples; ++i) {
    values.kl[i] = 100.0f * epoch + i;
    values.loss[i] = 1000.0f * epoch + i;
    values.log_other[i] = -10.0f * epoch - i;
    values.entropy[i] = 0.5f * epoch + i;
    values.el2n[i] = 0.25f * epoch + i;
    values.correct[i] = (epoch + i) % 2;
  }
  return values;
}

class DynamicsStoreTest : public testing::Test {
 protected:
  void record(int epochs) const {
    DynamicsWriter writer(path_, make_header());
    for (int epoch = 0; epoch < epochs; ++epoch) writer.append(epoch, make_epoch(epoch));
  }
  std::string bytes() const { return test::read_text(path_); }
  void put(const std::string& content) const { test::write_text(path_, content); }
  void expect_epochs(int epochs) const {
    const DynamicsReader reader(path_);
    ASSERT_EQ(reader.epochs(), epochs);
    for (int epoch = 0; epoch < epochs; ++epoch) {
      const EpochDynamics expected = make_epoch(epoch);
      for (int i = 0; i < kSamples; ++i) {
        ASSERT_EQ(reader.kl(epoch)[i], expected.kl[i]);
        ASSERT_EQ(reader.loss(epoch)[i], expected.loss[i]);
        ASSERT_EQ(reader.log_other(epoch)[i], expected.log_other[i]);
        ASSERT_EQ(reader.entropy(epoch)[i], expected.entropy[i]);
        ASSERT_EQ(reader.el2n(epoch)[i], expected.el2n[i]);
        ASSERT_EQ(reader.correct(epoch)[i], expected.correct[i]);
      }
    }
  }
  template <class Action>
  static std::string refusal(Action&& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "dynamics.tdds";
};

TEST(Crc32Test, MatchesPublishedSumsAndContinuesThem) {
  const std::string text = "123456789";
  EXPECT_EQ(crc32(text.data(), text.size()), 0xCBF43926u);
  const std::string longer = "The quick brown fox jumps over the lazy dog";
  EXPECT_EQ(crc32(longer.data(), longer.size()), 0x414FA339u);
  EXPECT_EQ(crc32(longer.data() + 11, longer.size() - 11, crc32(longer.data(), 11)), 0x414FA339u);
  EXPECT_EQ(crc32(nullptr, 0, 7), 7u);
}

TEST_F(DynamicsStoreTest, ReadsBackWhatWasRecorded) {
  record(5);
  expect_epochs(5);
  const DynamicsReader reader(path_);
  const DynamicsHeader& header = reader.header();
  EXPECT_EQ(header.samples, kSamples);
  EXPECT_EQ(header.classes, 10);
  EXPECT_EQ(header.dataset, "shapes");
  EXPECT_EQ(header.fingerprint, "abc123");
  EXPECT_EQ(header.seed, make_header().seed);
  EXPECT_EQ(header.labels, make_header().labels);
  EXPECT_EQ(header.fields, default_dynamics_fields());
  EXPECT_TRUE(reader.torn_end().empty());
  EXPECT_TRUE(is_dynamics_store(path_));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(reader.entropy(3)) % 64, 0u);
  EXPECT_THROW(reader.kl(5), Error);
}

TEST_F(DynamicsStoreTest, KeepsOnlyTheRequestedFields) {
  DynamicsHeader header = make_header();
  header.fields = {DynamicsField::kAbsKl};
  {
    DynamicsWriter writer(path_, header);
    EpochDynamics only_kl;
    only_kl.kl = make_epoch(0).kl;
    writer.append(0, only_kl);
    only_kl.kl.pop_back();
    EXPECT_THROW(writer.append(1, only_kl), Error);
  }
  const DynamicsReader reader(path_);
  EXPECT_EQ(reader.kl(0)[7], make_epoch(0).kl[7]);
  EXPECT_FALSE(reader.has(DynamicsField::kCorrect));
  const std::string said = refusal([&] { reader.correct(0); });
  EXPECT_NE(said.find("holds no 'correct'"), std::string::npos) << said;
}

TEST_F(DynamicsStoreTest, ResumesFromTheEndAndFromAnEarlierCheckpoint) {
  record(5);
  const std::string uninterrupted = bytes();
  for (const int from : {5, 4, 1}) {
    DynamicsWriter writer(path_, make_header(), from);
    EXPECT_EQ(writer.epochs(), from);
    EXPECT_EQ(writer.repair().empty(), from == 5) << writer.repair();
    for (int epoch = from; epoch < 5; ++epoch) writer.append(epoch, make_epoch(epoch));
    EXPECT_EQ(bytes(), uninterrupted);
  }
  EXPECT_THROW(DynamicsWriter(path_, make_header(), 6), Error);
  EXPECT_EQ(bytes(), uninterrupted);
  DynamicsWriter writer(path_, make_header(), 5);
  EXPECT_THROW(writer.append(6, make_epoch(6)), Error);
}

TEST_F(DynamicsStoreTest, DropsAndReportsAnIncompleteEndAtAnyByte) {
  record(3);
  const std::string whole = bytes();
  record(2);
  const std::size_t two = bytes().size();
  record(0);
  const std::size_t none = bytes().size();
  for (std::size_t length = two + 1; length < whole.size(); length += 101) {
    put(whole.substr(0, length));
    EXPECT_NE(DynamicsReader(path_).torn_end().find("epoch 2 was never finished"), std::string::npos);
    expect_epochs(2);
    DynamicsWriter writer(path_, make_header(), 2);
    EXPECT_FALSE(writer.repair().empty());
    writer.append(2, make_epoch(2));
    EXPECT_EQ(bytes(), whole);
  }
  // A payload without its record header, as after a crash between the two writes.
  std::string no_header = whole;
  std::fill_n(no_header.begin() + static_cast<std::ptrdiff_t>(two), 64, '\0');
  put(no_header);
  expect_epochs(2);
  for (std::size_t length = 0; length < none; length += 7) {
    put(whole.substr(0, length));
    EXPECT_NE(refusal([&] { DynamicsReader reader(path_); }), "accepted") << length;
  }
}

TEST_F(DynamicsStoreTest, RefusesEveryFlippedBit) {
  record(3);
  const std::string whole = bytes();
  std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
  const auto put_byte = [&](std::size_t at, int value) {
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(value)).flush();
  };
  for (std::size_t at = 0; at < whole.size(); at += at < 700 ? 3 : 37) {
    put_byte(at, whole[at] ^ (1 << at % 8));
    EXPECT_NE(refusal([&] { DynamicsReader reader(path_); }), "accepted") << at;
    EXPECT_NE(refusal([&] { DynamicsWriter writer(path_, make_header(), 2); }), "accepted") << at;
    put_byte(at, whole[at]);
  }
  EXPECT_EQ(bytes(), whole);
  std::string blank_middle = whole;
  const std::size_t record_bytes = (whole.size() - 64) / 3 / 64 * 64;
  std::fill_n(blank_middle.end() - static_cast<std::ptrdiff_t>(2 * record_bytes), 64, '\0');
  put(blank_middle);
  EXPECT_NE(refusal([&] { DynamicsReader reader(path_); }), "accepted");
}

TEST_F(DynamicsStoreTest, RefusesToContinueAnotherRun) {
  record(2);
  const auto said = [&](auto&& change) {
    DynamicsHeader header = make_header();
    change(header);
    return refusal([&] { DynamicsWriter writer(path_, header, 1); });
  };
  EXPECT_NE(said([](auto& h) { h.seed = 1; }).find("another seed"), std::string::npos);
  EXPECT_NE(said([](auto& h) { h.fingerprint = "x"; }).find("another data set"), std::string::npos);
  EXPECT_NE(said([](auto& h) { h.labels[3] ^= 1; }).find("labels"), std::string::npos);
  EXPECT_NE(said([](auto& h) { h.classes = 9; }).find("classes"), std::string::npos);
  EXPECT_NE(said([](auto& h) { h.fields = {DynamicsField::kAbsKl}; }).find("fields"), std::string::npos);
  expect_epochs(2);
}

TEST_F(DynamicsStoreTest, RejectsFilesThatAreNotStores) {
  EXPECT_FALSE(is_dynamics_store(path_));
  EXPECT_NE(refusal([&] { DynamicsReader reader(path_); }).find("No such file"), std::string::npos);
  put("something else entirely");
  EXPECT_FALSE(is_dynamics_store(path_));
  EXPECT_NE(refusal([&] { DynamicsReader reader(path_); }).find("not a dynamics store"), std::string::npos);
  EXPECT_NE(refusal([&] { DynamicsReader reader(folder_.str()); }).find("not a file"), std::string::npos);
  EXPECT_THROW(DynamicsWriter("/nonexistent/dynamics.tdds", make_header()), Error);
}

TEST_F(DynamicsStoreTest, WritesTheOfficialTriple) {
  const std::string folder = folder_ / "npy";
  const std::vector<float> loss{1, 2, 3}, logits{1, 2, 3, 4, 5, 6};
  const std::vector<std::int64_t> ids{2, 0, 1};
  write_official_epoch(folder, 7, loss, logits, 2, ids);
  EXPECT_EQ(read_npy_f32(folder + "/7_Loss.npy"), loss);
  EXPECT_EQ(read_npy_i64(folder + "/7_Index.npy"), ids);
  const NpyReader output(folder + "/7_Output.npy", DType::kF32, 2);
  EXPECT_EQ(output.shape(), (std::vector<std::int64_t>{3, 2}));
  EXPECT_THROW(write_official_epoch(folder, 8, loss, logits, 3, ids), Error);
}

// A record contains the number of its epoch.
TEST_F(DynamicsStoreTest, RefusesExchangedRecords) {
  record(3);
  std::string content = bytes();
  record(2);
  const std::size_t record_bytes = content.size() - bytes().size(), first = content.size() - 3 * record_bytes;
  std::swap_ranges(content.begin() + static_cast<std::ptrdiff_t>(first),
                   content.begin() + static_cast<std::ptrdiff_t>(first + record_bytes),
                   content.begin() + static_cast<std::ptrdiff_t>(first + record_bytes));
  put(content);
  EXPECT_NE(refusal([&] { DynamicsReader reader(path_); }).find("damaged in epoch 0"), std::string::npos);
}

// A header is written last, so a damaged one means damage, even if its record is also cut short.
TEST_F(DynamicsStoreTest, RefusesADamagedHeaderBeforeACutRecord) {
  record(2);
  const std::size_t begin = bytes().size();
  record(3);
  std::string content = bytes();
  content.pop_back();
  put(content);
  EXPECT_NE(DynamicsReader(path_).torn_end(), "");
  content[begin + 8] = static_cast<char>(content[begin + 8] ^ 1);
  for (const std::size_t length : {content.size(), begin + 64}) {  // 64: nothing behind the header
    put(content.substr(0, length));
    EXPECT_NE(refusal([&] { DynamicsReader reader(path_); }).find("damaged in epoch 2"), std::string::npos)
        << length;
  }
}

// The payload is on the disk before its header.
TEST_F(DynamicsStoreTest, FlushesThePayloadBeforeTheHeader) {
  record(1);
  const std::size_t begin = bytes().size();
  DynamicsWriter writer(path_, make_header(), 1);
  std::vector<std::string> at_flush;
  on_fdatasync = [&] { at_flush.push_back(bytes()); };
  writer.append(1, make_epoch(1));
  on_fdatasync = nullptr;
  ASSERT_EQ(at_flush.size(), 2u);
  const std::string whole = bytes();
  EXPECT_EQ(at_flush[1], whole);
  ASSERT_EQ(at_flush[0].size(), whole.size());
  EXPECT_EQ(at_flush[0].substr(begin, 64), std::string(64, '\0'));
  EXPECT_EQ(at_flush[0].substr(begin + 64), whole.substr(begin + 64));
}

}  // namespace
}  // namespace tdds
