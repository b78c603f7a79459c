#include "engine/io/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "engine/io/files.h"
#include "kernels/runtime/check.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string with_length(std::uint64_t length, const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string file_bytes(const std::string& header, std::size_t data_bytes) {
  return with_length(header.size(), header, std::string(data_bytes, '\1'));
}

TEST(SafetensorsTest, RoundTripsEveryType) {
  const TemporaryFolder folder;
  std::array<unsigned char, 48> values;
  std::iota(values.begin(), values.end(), static_cast<unsigned char>(7));
  const DType types[] = {DType::kU8,  DType::kF16, DType::kF32, DType::kBf16,
                         DType::kF64, DType::kI32, DType::kI64};
  std::vector<NamedTensor> tensors;
  for (DType type : types)
    tensors.push_back({fmt::format("t.{}", to_string(type)), type, {2, 3}, values.data()});
  write_safetensors(folder / "a", tensors, {{"epoch", "7"}, {"quoted", "\"\n\u00e9"}});

  const SafetensorsFile file(folder / "a");
  EXPECT_EQ(file.metadata(), (Metadata{{"epoch", "7"}, {"quoted", "\"\n\u00e9"}}));
  ASSERT_EQ(file.tensors().size(), std::size(types));
  for (DType type : types) {
    const StoredTensor& tensor = file.at(fmt::format("t.{}", to_string(type)));
    EXPECT_EQ(tensor.dtype, type);
    EXPECT_THAT(tensor.shape, ElementsAre(2, 3));
    EXPECT_EQ(tensor.begin % element_size(type), 0U) << "misaligned";
    std::vector<unsigned char> got(tensor.bytes);
    file.read(tensor, got.data());
    EXPECT_TRUE(std::equal(got.begin(), got.end(), values.begin())) << tensor.name;
  }
}

// The bytes that Python's safetensors 0.8.0 writes for {"b": arange(2, float32), "a": uint8 [5]}.
TEST(SafetensorsTest, WritesWhatPythonWrites) {
  const TemporaryFolder folder;
  const float b[] = {0, 1};
  const unsigned char a[] = {5};
  const NamedTensor tensors[] = {{"a", DType::kU8, {1}, a}, {"b", DType::kF32, {2}, b}};
  write_safetensors(folder / "x", tensors);
  std::string header = R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string data("\0\0\0\0\0\0\x80\x3f\5", 9);
  EXPECT_EQ(read_file(folder / "x", 1000), with_length(header.size(), header, data));
}

TEST(SafetensorsTest, HoldsScalarsAndEmptyTensors) {
  const TemporaryFolder folder;
  const std::int64_t steps = 1234;
  const NamedTensor tensors[] = {{"steps", DType::kI64, {}, &steps}, {"none", DType::kF32, {0, 4}, nullptr}};
  write_safetensors(folder / "a", tensors);
  const SafetensorsFile file(folder / "a");
  std::int64_t got = 0;
  file.read("steps", DType::kI64, {}, &got);
  EXPECT_EQ(got, 1234);
  EXPECT_EQ(file.at("none").bytes, 0U);
}

TEST(SafetensorsTest, ReadsBool) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a",
                        file_bytes(R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", 3));
  EXPECT_EQ(SafetensorsFile(folder / "a").at("m").dtype, DType::kU8);
}

TEST(SafetensorsTest, TheWrongTensorIsNamed) {
  const TemporaryFolder folder;
  const float value[] = {1, 2, 3, 4, 5, 6};
  const NamedTensor tensors[] = {{"w", DType::kF32, {2, 3}, value}};
  write_safetensors(folder / "a", tensors);
  const SafetensorsFile file(folder / "a");
  float out[6];
  const std::int64_t other[] = {3, 2};
  EXPECT_THAT([&] { file.read("w", DType::kF32, other, out); },
              ThrowsMessage<Error>(AllOf(HasSubstr("w as f32 [2, 3]"), HasSubstr("f32 [3, 2]"))));
  EXPECT_THAT([&] { file.at("absent"); }, ThrowsMessage<Error>(HasSubstr("no tensor called absent")));
  EXPECT_FALSE(file.contains("absent"));
}

TEST(SafetensorsTest, TwoTensorsOfOneNameAreRefused) {
  const TemporaryFolder folder;
  const float value[] = {1};
  const NamedTensor tensors[] = {{"w", DType::kF32, {1}, value}, {"w", DType::kF32, {1}, value}};
  EXPECT_THAT([&] { write_safetensors(folder / "a", tensors); },
              ThrowsMessage<Error>(HasSubstr("two tensors are called w")));
}

struct Hostile {
  const char* name;
  std::string bytes;
  const char* sentence;
};

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

class HostileSafetensorsTest : public testing::TestWithParam<Hostile> {};

TEST_P(HostileSafetensorsTest, IsRefusedWithAReason) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "bad", GetParam().bytes);
  EXPECT_THAT([&] { SafetensorsFile file(folder / "bad"); },
              ThrowsMessage<Error>(AllOf(HasSubstr(folder / "bad"), HasSubstr(GetParam().sentence))));
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileSafetensorsTest,
    testing::Values(
        Hostile{"empty", "", "only 0 bytes"}, Hostile{"short_length", "1234567", "only 7 bytes"},
        Hostile{"length_bomb", with_length(~std::uint64_t{0}, "{}", ""),
                "header would be 18446744073709551615"},
        Hostile{"header_cut", with_length(100, "{}", ""), "header would be 100"},
        Hostile{"no_json", file_bytes("{\"w\":", 0), "not valid JSON"},
        Hostile{"no_object", file_bytes("[]", 0), "not a JSON object"},
        Hostile{"invalid_utf8", file_bytes("{\"\xff\xfe\":1}", 0), "not valid JSON"},
        Hostile{"deep", file_bytes(std::string(100'000, '['), 0), "nested too deeply"},
        Hostile{"twice",
                file_bytes(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                           R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                           1),
                "names w twice"},
        Hostile{"no_dtype", file_bytes(R"({"w":{"shape":[1],"data_offsets":[0,1]}})", 1), "lacks dtype"},
        Hostile{"odd_dtype", file_bytes(entry("F8_E4M3", "[1]", "[0,1]"), 1), "element type F8_E4M3"},
        Hostile{"negative", file_bytes(entry("F32", "[-1]", "[0,4]"), 4), "not a whole number"},
        Hostile{"fraction", file_bytes(entry("F32", "[1.5]", "[0,4]"), 4), "not a whole number"},
        Hostile{"huge_number", file_bytes(entry("F32", "[1]", "[0,99999999999999999999]"), 4),
                "not a whole number"},
        Hostile{"overflow", file_bytes(entry("F32", "[4611686018427387904,4]", "[0,0]"), 0),
                "more than a file"},
        Hostile{"wrong_size", file_bytes(entry("F32", "[2]", "[0,4]"), 4), "needs 8"},
        Hostile{"truncated", file_bytes(entry("F32", "[2]", "[0,8]"), 7), "cut short or damaged"},
        Hostile{"backwards", file_bytes(entry("F32", "[1]", "[4,0]"), 4), "outside the file"},
        Hostile{"trailing", file_bytes(entry("F32", "[1]", "[0,4]"), 6), "2 bytes follow"},
        Hostile{"gap", file_bytes(entry("F32", "[1]", "[4,8]"), 8), "begins after a gap"},
        Hostile{"overlap",
                file_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                           R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                           6),
                "data of b overlaps"},
        Hostile{"empty_outside",
                file_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                           R"("b":{"dtype":"U8","shape":[0],"data_offsets":[9,9]}})",
                           4),
                "outside the file"},
        Hostile{"empty_within_another",
                file_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                           R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                           4),
                "data of b overlaps"},
        Hostile{"metadata", file_bytes(R"({"__metadata__":{"epoch":7}})", 0), "entry epoch is not a string"}),
    [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace tdds
