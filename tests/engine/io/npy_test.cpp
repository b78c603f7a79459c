#include "engine/io/npy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

class NpyTest : public testing::Test {
 protected:
  std::string bytes() const { return test::read_text(path_); }
  void put(const std::string& content) const { test::write_text(path_, content); }
  // Writes a version 1 file with this header text and `data_bytes` bytes of data.
  void put_array(std::string header, std::size_t data_bytes) const {
    header += '\n';
    std::string content = "\x93NUMPY";
    content += '\1';
    content += '\0';
    content += static_cast<char>(header.size() & 255);
    content += static_cast<char>(header.size() >> 8);
    put(content + header + std::string(data_bytes, '\0'));
  }
  std::string refusal(DType dtype, int rank) const {
    try {
      const NpyReader reader(path_, dtype, rank);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "a.npy";
};

TEST_F(NpyTest, WritesWhatNumpyWrites) {
  // numpy.save of numpy.array([[1, 2, 3], [4, 5, 6]], dtype='float32'), byte for byte.
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  write_npy(path_, values, {2, 3});
  std::string expected = "\x93NUMPY";
  expected += std::string("\x01\x00\x76\x00", 4);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  header.resize(0x75, ' ');
  expected += header + "\n";
  for (const float value : values) expected.append(reinterpret_cast<const char*>(&value), 4);
  EXPECT_EQ(bytes(), expected);
  EXPECT_FALSE(fs::exists(path_ + ".tmp"));
}

TEST_F(NpyTest, ReadsBackAnyPart) {
  std::vector<std::int64_t> ids(1000);
  std::iota(ids.begin(), ids.end(), std::int64_t{1} << 40);
  write_npy(path_, ids, {1000});
  EXPECT_EQ(read_npy_i64(path_), ids);
  const NpyReader reader(path_, DType::kI64, 1);
  std::int64_t part[3];
  reader.read(997, 3, part);
  EXPECT_EQ(part[0], ids[997]);
  EXPECT_EQ(part[2], ids[999]);
  EXPECT_THROW(reader.read(998, 3, part), Error);
}

TEST_F(NpyTest, ReadsEveryVersionOfTheFormatAndAnyKeyOrder) {
  put_array("{'shape': (2,), 'fortran_order': False, 'descr': '<f4'}", 8);
  EXPECT_EQ(read_npy_f32(path_), (std::vector<float>{0, 0}));
  for (const char version : {'\2', '\3'}) {
    const std::string header = "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (2L,), }\n";
    std::string content = "\x93NUMPY";
    content += version;
    content += '\0';
    content += static_cast<char>(header.size());
    content += std::string(3, '\0');
    put(content + header + std::string(8, '\0'));
    EXPECT_EQ(read_npy_f32(path_).size(), 2u);
  }
  put_array("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", 0);
  EXPECT_TRUE(read_npy_f32(path_).empty());
}

TEST_F(NpyTest, NamesWhatIsWrong) {
  const auto expect = [&](const char* words, DType dtype = DType::kF32, int rank = 2) {
    const std::string said = refusal(dtype, rank);
    EXPECT_NE(said.find(words), std::string::npos) << said;
    EXPECT_NE(said.find(path_), std::string::npos) << said;
  };
  fs::remove(path_);
  expect("No such file");
  fs::create_directories(path_);
  expect("is not a file");
  fs::remove(path_);
  put("");
  expect("not a .npy file");
  put("PK\3\4 an archive");
  expect("not a .npy file");
  put_array("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
  expect("big-endian");
  put_array("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", 48);
  expect("'<f8'");
  put_array("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24);
  expect("Fortran order");
  put_array("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", 24);
  expect("2 dimensions");
  put_array("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", 24);
  expect("structured");
  put_array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23);
  expect("truncated: its shape [2, 3]");
  put_array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 25);
  expect("1 bytes more");
  put_array("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 24);
  expect("impossible shape");
  put_array("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -6), }", 24);
  expect("impossible shape");
}

// A header may have up to 64 KiB: no array of a few dimensions needs more.
TEST_F(NpyTest, LimitsTheHeader) {
  const auto put_header = [&](std::size_t bytes) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    header.append(bytes - header.size() - 1, ' ') += '\n';
    std::string length;
    for (int i = 0; i < 4; ++i) length += static_cast<char>(bytes >> 8 * i);
    put("\x93NUMPY" + std::string("\2\0", 2) + length + header + std::string(8, '\0'));
  };
  put_header(60'000);
  EXPECT_EQ(read_npy_f32(path_), (std::vector<float>{0, 0}));
  put_header(70'000);
  EXPECT_NE(refusal(DType::kF32, 1).find("claims a header of 70000 bytes"), std::string::npos);
}

TEST_F(NpyTest, RefusesMalformedHeaders) {
  for (const char* header :
       {"", "{", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}",
        "__import__('os').system('true')"}) {
    put_array(header, 24);
    EXPECT_NE(refusal(DType::kF32, 2).find("malformed"), std::string::npos) << header;
  }
}

TEST_F(NpyTest, RefusesEveryTruncation) {
  write_npy(path_, std::vector<float>{1, 2, 3, 4}, {4});
  const std::string whole = bytes();
  for (std::size_t length = 0; length < whole.size(); length += length < 12 ? 1 : 5) {
    put(whole.substr(0, length));
    EXPECT_NE(refusal(DType::kF32, 1), "accepted") << length;
  }
}

TEST_F(NpyTest, AFailedWriteLeavesTheOldFile) {
  write_npy(path_, std::vector<float>{1}, {1});
  EXPECT_THROW(write_npy(path_, std::vector<float>{1, 2}, {3}), Error);
  EXPECT_EQ(read_npy_f32(path_), std::vector<float>{1});
  EXPECT_THROW(write_npy("/nonexistent/a.npy", std::vector<float>{1}, {1}), Error);
}

}  // namespace
}  // namespace tdds
