// Weights of other programs: what --init_weights and --evaluate accept, and what they reject, naming the
// tensor.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>

#include "tests/apps/program.h"
#include "tests/apps/tensor_file.h"
#include "tests/apps/tiny_run.h"

namespace tdds::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// The files of one run, for all tests.
class InitWeightsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    run_ = new TemporaryFolder;
    ASSERT_EQ(run_tool("tdds-train", tiny(run_->str(), 1)).exit_code, 0);
  }
  static void TearDownTestSuite() { delete run_; }

  static std::string model() { return *run_ / "model_last.safetensors"; }
  // A changed copy of the run's model.
  std::string changed(const std::function<void(TensorList&)>& change) const {
    TensorList tensors = read_tensors(model());
    change(tensors);
    write_tensors(folder_ / "changed.safetensors", tensors);
    return folder_ / "changed.safetensors";
  }
  std::string with_names(const std::function<std::string(const std::string&)>& rename) const {
    return changed([&](TensorList& tensors) {
      for (FileTensor& tensor : tensors) tensor.name = rename(tensor.name);
    });
  }
  Outcome evaluate(const std::string& weights) const {
    return run_tool("tdds-train", with(tiny(folder_ / "new"), {"--evaluate", "--init_weights", weights}));
  }
  // The end of the sentence, which has the figures.
  std::string figures(const std::string& weights) const {
    const Outcome outcome = evaluate(weights);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::size_t at = outcome.out.find(": test loss");
    return at == std::string::npos ? "none: " + outcome.out : outcome.out.substr(at);
  }
  std::vector<std::string> training(const std::string& weights) const {
    return with(tiny(folder_ / "new", 1), {"--init_weights", weights, "--learning_rate", "0"});
  }

  static TemporaryFolder* run_;
  TemporaryFolder folder_;
};
TemporaryFolder* InitWeightsTest::run_ = nullptr;

TEST_F(InitWeightsTest, WrappersInNamesAreDropped) {
  const std::string want = figures(model());
  for (const std::string wrapper : {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."})
    EXPECT_EQ(figures(with_names([&](const std::string& name) { return wrapper + name; })), want) << wrapper;
  EXPECT_EQ(figures(with_names([](const std::string& name) {
              return name.starts_with("layer1.0.") ? "layer1.0._orig_mod." + name.substr(9) : name;
            })),
            want);
  EXPECT_EQ(figures(with_names([](const std::string& name) { return "model.module." + name; })), want);
}

TEST_F(InitWeightsTest, TwoTensorsOfOneNameAreRefused) {
  const Outcome outcome = evaluate(changed([](TensorList& tensors) {
    FileTensor second = tensor_named(tensors, "conv1.weight");
    second.name = "module._orig_mod.conv1.weight";
    tensors.push_back(second);
  }));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("'conv1.weight'"), HasSubstr("'module._orig_mod.conv1.weight'")));
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-train")) << outcome.err;
}

TEST_F(InitWeightsTest, CountersMayBeMissing) {
  EXPECT_EQ(figures(changed([](TensorList& tensors) {
              EXPECT_GT(
                  std::erase_if(tensors,
                                [](const FileTensor& t) { return t.name.ends_with("num_batches_tracked"); }),
                  0u);
            })),
            figures(model()));
}

TEST_F(InitWeightsTest, DoublesBecomeFloats) {
  EXPECT_EQ(figures(changed([](TensorList& tensors) {
              for (FileTensor& tensor : tensors) {
                if (tensor.dtype != DType::kF32) continue;
                const std::vector<float> floats = floats_of(tensor);
                const std::vector<double> doubles(floats.begin(), floats.end());
                tensor.dtype = DType::kF64;
                tensor.bytes.resize(doubles.size() * sizeof(double));
                std::memcpy(tensor.bytes.data(), doubles.data(), tensor.bytes.size());
              }
            })),
            figures(model()));
}

// The head of a data set of seven classes.
void give_seven_classes(TensorList& tensors) {
  for (const char* name : {"fc.weight", "fc.bias"}) {
    FileTensor& tensor = tensor_named(tensors, name);
    tensor.bytes.resize(tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0]) * 7);
    tensor.shape[0] = 7;
  }
}

TEST_F(InitWeightsTest, AHeadOfOtherClassesIsRefusedWithBothCounts) {
  const std::string seven = changed(give_seven_classes);
  TensorList own = read_tensors(model());
  const std::string classes = std::to_string(tensor_named(own, "fc.bias").shape[0]);
  const auto check = [&](const std::string& program, const std::vector<std::string>& args) {
    const Outcome outcome = run_tool(program, args);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("'fc.weight' has 7 classes"), HasSubstr(" has " + classes),
                                   HasSubstr("--init_head random")));
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
  };
  check("tdds-train", training(seven));
  check("tdds-train", with(tiny(folder_ / "new"), {"--evaluate", "--init_weights", seven}));
  check("tdds-train-subset", with(training(seven), {"--random_subset", "--subset_rate", "0.5"}));
}

// At a learning rate of 0 the weights keep their initial values.
TEST_F(InitWeightsTest, ARandomHeadIsThatOfAFreshNetwork) {
  const std::vector<std::string> fresh = with(tiny(folder_ / "fresh", 1), {"--learning_rate", "0"});
  ASSERT_EQ(run_tool("tdds-train", fresh).exit_code, 0);
  TensorList fresh_net = read_tensors(folder_ / "fresh/model_last.safetensors"), from = read_tensors(model());
  const auto check = [&](const std::string& program, const std::string& weights,
                         const std::vector<std::string>& more) {
    const Outcome outcome =
        run_tool(program, with(training(weights), with({"--init_head", "random", "--overwrite"}, more)));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    TensorList got = read_tensors(folder_ / "new/model_last.safetensors");
    for (const char* name : {"fc.weight", "fc.bias"})
      EXPECT_EQ(floats_of(tensor_named(got, name)), floats_of(tensor_named(fresh_net, name)));
    EXPECT_EQ(floats_of(tensor_named(got, "conv1.weight")), floats_of(tensor_named(from, "conv1.weight")));
  };
  check("tdds-train", changed(give_seven_classes), {});
  const std::string headless = changed([](TensorList& tensors) {
    std::erase_if(tensors, [](const FileTensor& tensor) { return tensor.name.starts_with("fc."); });
  });
  check("tdds-train-subset", headless, {"--random_subset", "--subset_rate", "0.5"});
}

TEST_F(InitWeightsTest, ARandomHeadIsForATrainingFromWeights) {
  const auto check = [&](const std::string& program, const std::vector<std::string>& more) {
    const Outcome outcome =
        run_tool(program, with(tiny(folder_ / "new"), with(more, {"--init_head", "random"})));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("--init_head"));
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
  };
  for (const char* program : {"tdds-train", "tdds-train-subset"}) {
    check(program, {});
    check(program, {"--dry_run"});
    check(program, {"--evaluate", "--init_weights", model()});
  }
  check("tdds-sweep", {});
}

struct BadValue {
  const char *name, *tensor;
  double value;
};

class BadValueTest : public InitWeightsTest, public testing::WithParamInterface<BadValue> {
 protected:
  // The file with the value as the last element of the tensor.
  std::string damaged(const std::string& path) const {
    TensorList tensors = read_tensors(path);
    for (FileTensor& tensor : tensors) {
      if (!tensor.name.ends_with(GetParam().tensor)) continue;
      const auto value = static_cast<float>(GetParam().value);
      std::memcpy(&tensor.bytes[tensor.bytes.size() - sizeof(value)], &value, sizeof(value));
    }
    write_tensors(folder_ / "damaged.safetensors", tensors, SafetensorsFile(path).metadata());
    return folder_ / "damaged.safetensors";
  }
  void expect_refused(const std::string& program, const std::vector<std::string>& args) const {
    const Outcome outcome = run_tool(program, args);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(".safetensors: tensor '"),
                                   HasSubstr(fmt::format("{}' contains {:g} where", GetParam().tensor,
                                                         static_cast<float>(GetParam().value))),
                                   Not(HasSubstr("learning_rate"))));
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
    EXPECT_THAT(outcome.out, Not(HasSubstr("accuracy")));
  }
};

TEST_P(BadValueTest, IsRefusedByItsTensor) {
  const std::string weights = damaged(model());
  expect_refused("tdds-train", with(tiny(folder_ / "new"), {"--evaluate", "--init_weights", weights}));
  expect_refused("tdds-train", training(weights));
  expect_refused("tdds-train-subset", with(training(weights), {"--random_subset", "--subset_rate", "0.5"}));
}

TEST_P(BadValueTest, IsRefusedInACheckpoint) {
  const TemporaryFolder run;
  std::filesystem::copy_file(damaged(*run_ / "checkpoint.safetensors"), run / "checkpoint.safetensors");
  expect_refused("tdds-train", {"--save_path", run.str(), "--resume"});
}

INSTANTIATE_TEST_SUITE_P(All, BadValueTest,
                         testing::Values(BadValue{"nan", "conv1.weight", NAN},
                                         BadValue{"infinity", "fc.bias", INFINITY},
                                         BadValue{"mean", "bn1.running_mean", NAN},
                                         BadValue{"variance", "bn1.running_var", -0.5}),
                         [](const auto& test) { return test.param.name; });

TEST_F(InitWeightsTest, MomentaThatAreNotFiniteAreRefused) {
  const TemporaryFolder run;
  TensorList tensors = read_tensors(*run_ / "checkpoint.safetensors");
  const float nan = NAN;
  std::memcpy(tensor_named(tensors, "momentum.conv1.weight").bytes.data(), &nan, sizeof(nan));
  write_tensors(run / "checkpoint.safetensors", tensors,
                SafetensorsFile(*run_ / "checkpoint.safetensors").metadata());
  const Outcome outcome = run_tool("tdds-train", {"--save_path", run.str(), "--resume"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("'momentum.conv1.weight' contains nan"));
}

TEST_F(InitWeightsTest, DoublesOutsideTheRangeOfFloatAreRefused) {
  const Outcome outcome = evaluate(changed([](TensorList& tensors) {
    FileTensor& bias = tensor_named(tensors, "fc.bias");
    std::vector<double> values(static_cast<std::size_t>(bias.shape[0]), 1e300);
    bias.dtype = DType::kF64;
    bias.bytes.resize(values.size() * sizeof(double));
    std::memcpy(bias.bytes.data(), values.data(), bias.bytes.size());
  }));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("'fc.bias' contains inf"), HasSubstr("float32")));
}

// Finite weights with outputs that are not finite: +inf, NaN, or -inf for a class other than the label, which
// the loss does not show.
TEST_F(InitWeightsTest, OutputsThatAreNotFiniteHaveNoAccuracy) {
  const auto check = [&](const std::string& program, const std::vector<std::string>& args) {
    const Outcome outcome = run_tool(program, args);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("changed.safetensors: "), HasSubstr("not finite"),
                                   Not(HasSubstr("learning_rate"))));
    EXPECT_TRUE(is_one_sentence(outcome.err, program)) << outcome.err;
    EXPECT_THAT(outcome.out, Not(HasSubstr("accuracy")));
  };
  for (const float value : {3e38f, -3e38f}) {
    const std::string weights = changed([&](TensorList& tensors) {
      FileTensor& weight = tensor_named(tensors, "fc.weight");
      std::vector<float> values = floats_of(weight);
      std::fill_n(values.begin(), weight.shape[1], value);  // of class 0
      std::memcpy(weight.bytes.data(), values.data(), weight.bytes.size());
      FileTensor& gain = tensor_named(tensors, "layer4.1.bn2.weight");  // features of at least 1
      std::vector<float> gains = floats_of(gain);
      for (float& g : gains) g = 100;
      std::memcpy(gain.bytes.data(), gains.data(), gain.bytes.size());
    });
    for (const char* device : {"cpu", "simt"})
      check("tdds-train",
            with(tiny(folder_ / "new"), {"--evaluate", "--init_weights", weights, "--device", device}));
    check("tdds-train", training(weights));
    check("tdds-train-subset", with(training(weights), {"--random_subset", "--subset_rate", "0.5"}));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "new/checkpoint.safetensors"));
  }
}

// A checkpoint of a larger network holds every tensor of a smaller one.
TEST_F(InitWeightsTest, ACheckpointOfALargerNetworkIsRefused) {
  const std::string large = folder_ / "large";
  ASSERT_EQ(run_tool("tdds-train", with(tiny(large, 1), {"--arch", "resnet34"})).exit_code, 0);
  const Outcome outcome = evaluate(large + "/checkpoint.safetensors");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("belongs to another network"));
  EXPECT_EQ(figures(*run_ / "checkpoint.safetensors"), figures(model()));
}

}  // namespace
}  // namespace tdds::test
