// Model and checkpoint files: other programs read ours, and ours read theirs.

#include "engine/checkpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/io/crc32.h"
#include "kernels/numerics/half_convert.h"
#include "tests/engine/small_run.h"
#include "tests/golden/golden.h"
#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using namespace test;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(CheckpointTest, AModelOfAnotherShapeIsRefusedAndNothingChanges) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  SmallRun run(options());
  save_model(path, *run.stream, run.net->params(), {});
  auto other = make_resnet({.classes = kClasses, .width = 0.25});
  other->params().place(*run.device, *run.stream, DType::kF32);
  EXPECT_THROW(load_model(path, *run.stream, other->params()), Error);
  EXPECT_THROW(load_checkpoint(path, *run.stream, run.net->params(), run.trainer), Error);
  const std::vector<std::byte> before = run.weights();
  load_model(path, *run.stream, run.net->params());
  EXPECT_EQ(run.weights(), before);
}

// The state_dict of the official model, written by PyTorch and Python's safetensors. A formula gives its
// weights.
TEST(CheckpointTest, LoadsWhatPyTorchSaved) {
  const auto device = make_device(DeviceKind::kCpu);
  const auto stream = device->make_stream(StreamMode::kImmediate);
  const auto net = make_resnet({.classes = 10, .width = 0.125});
  Params& params = net->params();
  params.place(*device, *stream, DType::kF32);
  params.initialize(*stream, 1);
  *params.counter(5) = 77;  // bn1.num_batches_tracked
  ASSERT_EQ(params.list()[5].name, "bn1.num_batches_tracked");
  load_model(golden_path("resnet18_narrow_weights.safetensors"), *stream, params);
  std::uint32_t place = 0;
  for (std::size_t i = 0; i < params.list().size(); ++i) {
    const Param& param = params.list()[i];
    const std::vector<std::byte> loaded = params.download(*stream, static_cast<int>(i));
    if (param.kind == ParamKind::kCounter) {
      EXPECT_EQ(loaded, std::vector<std::byte>(sizeof(std::int64_t))) << param.name;
      continue;
    }
    std::vector<float> want(static_cast<std::size_t>(param.elements()), param.constant);
    if (param.kind != ParamKind::kRunning) want = counter::weights(param, place++, "bn2");
    ASSERT_EQ(loaded.size(), want.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(loaded.data(), want.data(), loaded.size()), 0) << param.name;
  }
}

// Saves the model of a run with each float stored as T. Returns the rounded weights.
template <class T>
std::vector<std::byte> save_as(const std::string& path, DType dtype, SmallRun& run) {
  std::vector<std::vector<std::byte>> copies;
  std::vector<NamedTensor> tensors;
  std::vector<std::byte> rounded;
  const auto& list = run.net->params().list();
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::vector<std::byte> bytes = run.net->params().download(*run.stream, static_cast<int>(i));
    const bool counter = list[i].kind == ParamKind::kCounter;
    copies.push_back(bytes);
    for (std::size_t e = 0; !counter && e < bytes.size() / sizeof(float); ++e) {
      float value = 0;
      std::memcpy(&value, &bytes[e * sizeof(float)], sizeof(float));
      const T narrow = from_float<T>(value);
      value = to_float(narrow);
      std::memcpy(&copies.back()[e * sizeof(T)], &narrow, sizeof(T));
      std::memcpy(&bytes[e * sizeof(float)], &value, sizeof(float));
    }
    rounded.insert(rounded.end(), bytes.begin(), bytes.end());
    tensors.push_back({list[i].name, counter ? DType::kI64 : dtype, list[i].shape, copies.back().data()});
  }
  write_safetensors(path, tensors);
  return rounded;
}

TEST(CheckpointTest, AModelInHalfPrecisionIsWidened) {
  const TemporaryFolder folder;
  SmallRun run(options());
  const auto half = save_as<half_t>(folder / "half", DType::kF16, run);
  const auto bfloat = save_as<bf16_t>(folder / "bfloat", DType::kBf16, run);
  load_model(folder / "half", *run.stream, run.net->params());
  EXPECT_EQ(run.weights(), half);
  load_model(folder / "bfloat", *run.stream, run.net->params());
  EXPECT_EQ(run.weights(), bfloat);
  EXPECT_NE(half, bfloat);
}

// The check of float32 tensors does not see it.
TEST(CheckpointTest, AnInfiniteWeightInHalfPrecisionIsRefused) {
  const TemporaryFolder folder;
  SmallRun infinite(options()), run(options());
  Params& params = infinite.net->params();
  const int last = static_cast<int>(params.list().size()) - 1;
  std::vector<std::byte> values = params.download(*infinite.stream, last);
  const float value = -std::numeric_limits<float>::infinity();
  std::memcpy(&values[sizeof(float)], &value, sizeof(float));
  params.upload(*infinite.stream, last, values);
  save_as<half_t>(folder / "half", DType::kF16, infinite);
  save_as<bf16_t>(folder / "bfloat", DType::kBf16, infinite);
  const std::vector<std::byte> before = run.weights();
  for (const char* name : {"half", "bfloat"})
    EXPECT_THAT([&] { load_model(folder / name, *run.stream, run.net->params()); },
                ThrowsMessage<Error>(AllOf(HasSubstr(name), HasSubstr("tensor 'fc.bias' contains -inf"))));
  EXPECT_EQ(run.weights(), before);
}

TEST(CheckpointTest, AModelOfWholeNumbersIsRefused) {
  const TemporaryFolder folder;
  SmallRun run(options());
  std::vector<NamedTensor> tensors;
  const std::vector<std::byte> zeros(1 << 20);
  for (const Param& param : run.net->params().list())
    tensors.push_back({param.name, DType::kI32, param.shape, zeros.data()});
  write_safetensors(folder / "ints", tensors);
  EXPECT_THAT(
      [&] { load_model(folder / "ints", *run.stream, run.net->params()); },
      ThrowsMessage<Error>(AllOf(HasSubstr("conv1.weight"), HasSubstr("i32"), HasSubstr("needs f32"))));
}

// Reads a file by the published format, without our reader. Each tensor is a line "name type [shape] CRC-32".
std::vector<std::string> read_by_the_format(const std::string& content) {
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(content.at(i));
  EXPECT_EQ(length % 8, 0u);
  const std::string header = content.substr(8, length), data = content.substr(8 + length);
  EXPECT_EQ(header.front(), '{');
  EXPECT_EQ(header[header.find_last_not_of(' ')], '}') << "padding is U+0020 alone";
  const nlohmann::json entries = nlohmann::json::parse(header);
  const std::map<std::string, std::size_t> sizes{{"F64", 8}, {"I64", 8},  {"F32", 4}, {"I32", 4},
                                                 {"F16", 2}, {"BF16", 2}, {"U8", 1}};
  std::map<std::pair<std::size_t, std::size_t>, std::string> by_offset;
  for (const auto& [name, entry] : entries.items())
    if (name != "__metadata__") by_offset[entry.at("data_offsets")] = name;
  std::vector<std::string> lines;
  std::size_t at = 0;
  for (const auto& [offsets, name] : by_offset) {
    const nlohmann::json& entry = entries.at(name);
    const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
    const std::size_t size = sizes.at(entry.at("dtype"));
    std::size_t bytes = size;
    for (const std::int64_t n : shape) bytes *= static_cast<std::size_t>(n);
    EXPECT_EQ(offsets, std::pair(at, at + bytes)) << name;
    EXPECT_EQ(at % size, 0u) << name << " is misaligned";
    lines.push_back(fmt::format("{} {} [{}] {}", name, entry.at("dtype").get<std::string>(),
                                fmt::join(shape, ", "), crc32(&data.at(at), bytes)));
    at += bytes;
  }
  EXPECT_EQ(at, data.size()) << "the tensors cover the data";
  const nlohmann::json metadata = entries.value("__metadata__", nlohmann::json::object());
  for (const auto& [key, value] : metadata.items()) lines.push_back(key + " " + value.get<std::string>());
  return lines;
}

// The expected lines, from the parameters, in the order of the file: wide elements first.
std::vector<std::string> lines_of(SmallRun& run, const std::string& prefix, const char* which) {
  std::vector<std::string> counters, floats;
  for (std::size_t i = 0; i < run.net->params().list().size(); ++i) {
    const Param& param = run.net->params().list()[i];
    const bool counter = param.kind == ParamKind::kCounter;
    if (std::string_view(which) == "momentum" && (counter || param.kind == ParamKind::kRunning)) continue;
    const auto bytes = run.net->params().download(*run.stream, static_cast<int>(i), which);
    (counter ? counters : floats)
        .push_back(fmt::format("{}{} {} [{}] {}", prefix, param.name, counter ? "I64" : "F32",
                               fmt::join(param.shape, ", "), crc32(bytes.data(), bytes.size())));
  }
  counters.insert(counters.end(), floats.begin(), floats.end());
  return counters;
}

// A run of one epoch and its two files.
struct WrittenFiles {
  TemporaryFolder folder;
  SmallRun run{options()};
  std::string model = folder / "model.safetensors", checkpoint = folder / "checkpoint.safetensors";

  WrittenFiles() {
    run.epoch();
    save_model(model, *run.stream, run.net->params(),
               {{"epoch", "1"}, {"note", "line 1\n\"line 2\" \u00e9"}});
    save_checkpoint(checkpoint, *run.stream, run.net->params(), run.trainer, {{"epoch", "1"}});
  }
};

TEST(CheckpointTest, FilesAreAsTheFormatIsPublished) {
  WrittenFiles files;
  std::vector<std::string> model = lines_of(files.run, "", "weight");
  model.insert(model.end(), {"epoch 1", "note line 1\n\"line 2\" \u00e9"});
  EXPECT_EQ(read_by_the_format(read_text(files.model)), model);
  const std::vector<std::string> checkpoint = read_by_the_format(read_text(files.checkpoint));
  EXPECT_THAT(checkpoint, testing::IsSupersetOf(lines_of(files.run, "model.", "weight")));
  EXPECT_THAT(checkpoint, testing::IsSupersetOf(lines_of(files.run, "momentum.", "momentum")));
}

TEST(CheckpointTest, PythonReadsTheFiles) {
  if (std::system("python3 -c '' 2>/dev/null") != 0) GTEST_SKIP() << "there is no python3";
  WrittenFiles files;
  for (const std::string& path : {files.model, files.checkpoint}) {
    const std::string command =
        "python3 " + source_path("tests/engine/read_safetensors.py") + " '" + path + "'";
    FILE* output = popen(command.c_str(), "r");
    ASSERT_NE(output, nullptr);
    std::string text;
    for (int c = std::fgetc(output); c != EOF; c = std::fgetc(output)) text += static_cast<char>(c);
    ASSERT_EQ(pclose(output), 0) << text;
    std::string want;
    for (const std::string& line : read_by_the_format(read_text(path))) want += line + "\n";
    EXPECT_EQ(text, want);
  }
}

// A ResNet-34 has every tensor of a ResNet-18 with the same name and shape; only the additional ones differ.
TEST(CheckpointTest, TensorsOfALargerNetworkAreRefused) {
  const TemporaryFolder folder;
  SmallRun run(options());
  auto larger = make_resnet({.arch = "resnet34", .classes = kClasses, .width = 0.125, .image_size = 8});
  larger->params().place(*run.device, *run.stream, DType::kF32);
  larger->params().initialize(*run.stream, 1);
  save_model(folder / "resnet34", *run.stream, larger->params(), {});
  const std::vector<std::byte> before = run.weights();
  EXPECT_THAT([&] { load_model(folder / "resnet34", *run.stream, run.net->params()); },
              ThrowsMessage<Error>(HasSubstr("belongs to another network")));
  EXPECT_EQ(run.weights(), before);
}

// A missing tensor is found before anything is overwritten.
TEST(CheckpointTest, AMissingTensorChangesNothing) {
  const TemporaryFolder folder;
  SmallRun run(options()), other(options());
  run.epoch();
  save_checkpoint(folder / "whole", *run.stream, run.net->params(), run.trainer, {});
  const SafetensorsFile whole(folder / "whole");
  const std::string last = run.net->params().list().back().name;
  std::vector<std::string> left_out{"trainer.state", "trainer.prev_logp"};
  for (const Param& param : run.net->params().list()) {
    left_out.push_back("model." + param.name);
    if (param.kind != ParamKind::kRunning && param.kind != ParamKind::kCounter)
      left_out.push_back("momentum." + param.name);
  }
  const std::vector<std::byte> before = other.weights();
  for (const std::string& missing : left_out) {
    std::vector<std::vector<std::byte>> copies;
    std::vector<NamedTensor> tensors;
    for (const StoredTensor& tensor : whole.tensors()) {
      if (tensor.name == missing) continue;
      copies.emplace_back(tensor.bytes);
      whole.read(tensor, copies.back().data());
      tensors.push_back({tensor.name, tensor.dtype, tensor.shape, copies.back().data()});
    }
    ASSERT_EQ(tensors.size() + 1, whole.tensors().size()) << missing;
    write_safetensors(folder / "part", tensors);
    EXPECT_THAT([&] { load_checkpoint(folder / "part", *other.stream, other.net->params(), other.trainer); },
                ThrowsMessage<Error>(HasSubstr(missing)));
    ASSERT_EQ(other.weights(), before) << missing;
  }
}

}  // namespace
}  // namespace tdds
