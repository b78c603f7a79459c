// tdds-score end to end: the real program on recorded dynamics, good and bad.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/dynamics_store.h"
#include "engine/npy.h"
#include "tests/apps/program.h"
#include "tests/tdds/reference.h"

namespace tdds::test {
namespace {

constexpr int kEpochs = 12, kSamples = 200, kClasses = 10;

class ScoreProgramTest : public testing::Test {
 protected:
  // Every written file waits for the disk, so they are written once and copied for each test.
  static void SetUpTestSuite() {
    recording_ = std::make_unique<Recording>();
    for (int epoch = 0; epoch < kEpochs; ++epoch) write_epoch(recording_->folder / "npy", epoch, ids(epoch));
    write_store_to(recording_->folder / "dynamics.tdds");
  }
  static void TearDownTestSuite() { recording_.reset(); }
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "run");
    std::filesystem::copy(recording_->folder / "npy", npy_);
  }
  static const Recorded& recorded() { return recording_->dynamics; }
  static const std::vector<std::int64_t>& ids(int epoch) {
    return recorded().ids[static_cast<std::size_t>(epoch)];
  }
  static void write_epoch(const std::string& npy, int epoch, const std::vector<std::int64_t>& order) {
    const std::vector<float> loss(order.size());
    write_official_epoch(npy, epoch, loss, in_visiting_order(recorded(), epoch, order), kClasses, order);
  }
  static void write_store(const std::string& path) {
    std::filesystem::copy_file(recording_->folder / "dynamics.tdds", path);
  }
  static void write_store_to(const std::string& path) {
    DynamicsHeader header;
    header.samples = kSamples;
    header.classes = kClasses;
    header.dataset = "shapes";
    header.seed = 7;
    for (int i = 0; i < kSamples; ++i) header.labels.push_back(i % kClasses);
    const auto series = reference_series(recorded());
    DynamicsWriter writer(path, header);
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      EpochDynamics values(kSamples);
      if (epoch > 0) {
        const Row& d = series[static_cast<std::size_t>(epoch - 1)];
        values.kl.assign(d.begin(), d.end());
      }
      writer.append(epoch, values);
    }
  }

  Outcome score(std::vector<std::string> args, const Limits& limits = {}) const {
    args.insert(args.end(), {"--mask_path", masks_});
    std::fflush(nullptr);  // what this process has yet to print would count against the child's file size
    return run_tool("tdds-score", args, limits);
  }
  std::string mask_file(int j, int t) const {
    return fmt::format("{}/data_mask_win{}_ep{}.npy", masks_, j, t);
  }
  std::string score_file(int j, int t) const { return fmt::format("{}/score_win{}_ep{}.npy", masks_, j, t); }

  // Runs with these flags beside the recorded dynamics; expects one sentence with `words` and that exit code.
  void expect_refusal(const std::vector<std::string>& flags, int exit_code, const std::string& words) const {
    std::vector<std::string> args = flags;
    if (flags.empty() || flags[0] != "--dynamics_path") args.insert(args.begin(), {"--dynamics_path", npy_});
    const Outcome outcome = score(args);
    EXPECT_EQ(outcome.exit_code, exit_code) << words;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(mask_file(10, 10)));
  }

  void expect_refusal_after(const std::vector<std::string>& flags, const std::string& words) const {
    std::vector<std::string> args{"--dynamics_path", npy_};
    args.insert(args.end(), flags.begin(), flags.end());
    const Outcome outcome = score(args);
    EXPECT_EQ(outcome.exit_code, 2) << words;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  }

  // What <masks>/<name>.json says.
  nlohmann::json json_of(const std::string& name) const {
    return nlohmann::json::parse(read_text(fmt::format("{}/{}.json", masks_, name)));
  }

  TemporaryFolder folder_;
  std::string npy_ = folder_ / "run/npy", masks_ = folder_ / "masks";

  struct Recording {
    TemporaryFolder folder;
    Recorded dynamics = random_dynamics(kSamples, kClasses, kEpochs, 11);
  };
  static inline std::unique_ptr<Recording> recording_;
};

TEST_F(ScoreProgramTest, WritesWhatTheOfficialFormulaGives) {
  const Outcome outcome = score({"--dynamics_path", npy_, "--trajectory_len", "12", "--window-size", "5"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("T=12 J=5"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("the highest scores are kept"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("share that is pruned"), std::string::npos) << outcome.out;

  const auto mask = read_npy_i64(mask_file(5, 12));
  const auto scores = read_npy_f32(score_file(5, 12));
  const Row expected = reference_scores(reference_series(recorded()), 12, 5, 0.9L);
  ASSERT_EQ(mask.size(), expected.size());
  EXPECT_TRUE(std::is_sorted(scores.begin(), scores.end()));
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const auto exact = static_cast<double>(expected[static_cast<std::size_t>(mask[i])]);
    EXPECT_NEAR(scores[i], exact, 1e-5 * exact);
  }
}

TEST_F(ScoreProgramTest, TakesTheOfficialDefaultsAndEveryPlaceOfTheDynamics) {
  ASSERT_EQ(score({"--dynamics_path", npy_}).exit_code, 0);
  const std::string mask = read_text(mask_file(10, 10)), scores = read_text(score_file(10, 10));
  for (const std::string& path : {npy_ + "/", folder_ / "run", folder_ / "run/"}) {
    std::filesystem::remove_all(masks_);
    ASSERT_EQ(score({"--dynamics_path", path}).exit_code, 0) << path;
    EXPECT_EQ(read_text(mask_file(10, 10)), mask);
    EXPECT_EQ(read_text(score_file(10, 10)), scores);
  }
  // With a store beside the files, the run's folder means the store; scores agree, the order too.
  write_store(folder_ / "run/dynamics.tdds");
  const Outcome outcome = score({"--dynamics_path", folder_ / "run"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("dynamics.tdds: 200 samples, 12 epochs of shapes, seed 7"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(read_text(mask_file(10, 10)), mask);
  // The official command line names npy/, which need not have been written.
  std::filesystem::remove_all(npy_);
  EXPECT_EQ(score({"--dynamics_path", npy_ + "/"}).exit_code, 0);
  EXPECT_EQ(score({"--dynamics_path", folder_ / "run/dynamics.tdds"}).exit_code, 0);
}

TEST_F(ScoreProgramTest, ListsGiveAMaskForEachPairThatFits) {
  const Outcome outcome =
      score({"--dynamics_path", npy_, "--trajectory_len", "4,12", "--window_size", "3,5", "--threads", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("T=4 J=5 is left out"), std::string::npos) << outcome.out;
  EXPECT_FALSE(std::filesystem::exists(mask_file(5, 4)));
  const std::string together = read_text(score_file(3, 4)) + read_text(score_file(5, 12));
  std::filesystem::remove_all(masks_);
  score({"--dynamics_path", npy_, "--trajectory_len", "4", "--window_size", "3"});
  score({"--dynamics_path", npy_, "--trajectory_len", "12", "--window_size", "5"});
  EXPECT_EQ(read_text(score_file(3, 4)) + read_text(score_file(5, 12)), together);
}

TEST_F(ScoreProgramTest, RefusesSettingsThatMakeNoSense) {
  expect_refusal({"--window_size", "2"}, 2, "--window_size is 2");
  expect_refusal({"--window_size", "0"}, 2, "--window_size is 0");
  expect_refusal({"--trajectory_len", "5"}, 2, "the window must fit into the trajectory");
  expect_refusal({"--trajectory_len", "13"}, 2, "holds 12 epochs");
  expect_refusal({"--trajectory_len", "4,5"}, 2, "no pair of --trajectory_len and --window_size");
  expect_refusal({"--decay", "1.5"}, 2, "--decay is 1.5");
  expect_refusal({"--trajectory_len", "ten"}, 2, "--trajectory_len");
  expect_refusal({"--device", "tpu"}, 2, "there is no device 'tpu'");
  expect_refusal({"--threads", "-1"}, 2, "--threads is -1");
  expect_refusal({"--windowsize", "5"}, 2, "there is no flag --windowsize");
}

TEST_F(ScoreProgramTest, RefusesBadFiles) {
  const std::string output = npy_ + "/3_Output.npy", index = npy_ + "/3_Index.npy";
  const std::string good_output = read_text(output), good_index = read_text(index);
  const auto expect = [&](const std::string& words) {
    expect_refusal({}, 1, words);
    write_text(output, good_output);
    write_text(index, good_index);
  };
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  };
  write_text(output, replaced(good_output, "<f4", ">f4"));
  expect("3_Output.npy is big-endian");
  write_text(output, replaced(good_output, "<f4", "<i4"));
  expect("3_Output.npy holds numbers of type '<i4'");
  write_text(output, replaced(good_output, "False", "True "));
  expect("Fortran order");
  write_text(output, good_output.substr(0, 50));
  expect("3_Output.npy is truncated within its header");
  write_text(output, good_output.substr(0, good_output.size() - 4));
  expect("3_Output.npy is truncated: its shape [200, 10]");
  write_text(output, replaced(good_output, "(200, 10)", "(100, 20)"));
  expect("3_Output.npy has shape [100, 20] and epoch 0 has [200, 10]");
  std::filesystem::remove(output);
  expect("3_Output.npy is missing");
  std::filesystem::remove(index);
  expect("3_Index.npy cannot be read");
  auto twice = ids(3);
  twice[0] = twice[1];
  write_epoch(npy_, 3, ids(3));
  write_npy(index, twice, {kSamples});
  expect(fmt::format("sample id {} twice and {} not at all", twice[1], ids(3)[0]));
  for (int epoch = 0; epoch < kEpochs; ++epoch)
    std::filesystem::remove(fmt::format("{}/{}_Output.npy", npy_, epoch));
  expect_refusal({}, 1, "holds neither dynamics.tdds nor <epoch>_Output.npy");
  std::filesystem::remove_all(folder_ / "run");
  expect_refusal({}, 1, "does not exist");
}

TEST_F(ScoreProgramTest, ScoresByEveryMethodInOneRun) {
  const std::string store = folder_ / "run/dynamics.tdds";
  write_store(store);
  const std::string all =
      "tdds,tdds_kl,random,entropy,el2n,forgetting,forgetting_zero,aum,aum_logit,dyn_unc,dual";
  const Outcome outcome = score({"--dynamics_path", store, "--method", all, "--method_window", "4"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Outcome list = run_tool("tdds-score", {"--list"});
  for (const char* name : {"random", "entropy", "el2n", "forgetting", "forgetting_zero", "aum", "aum_logit",
                           "dyn_unc", "dual", "tdds_kl_win10_ep10"}) {
    const auto scores = read_npy_f32(fmt::format("{}/score_{}.npy", masks_, name));
    const auto mask = read_npy_i64(fmt::format("{}/data_mask_{}.npy", masks_, name));
    EXPECT_EQ(mask.size(), std::size_t{kSamples});
    EXPECT_TRUE(std::is_sorted(scores.begin(), scores.end()));
    const auto about = nlohmann::json::parse(read_text(fmt::format("{}/score_{}.json", masks_, name)));
    const std::string method = std::string(name).starts_with("tdds_kl") ? "tdds_kl" : name;
    EXPECT_EQ(about.at("method"), method);
    EXPECT_EQ(about.at("dataset"), "shapes");
    EXPECT_TRUE(about.contains("direction") && about.contains("program"));
    EXPECT_NE(("\n" + list.out).find(fmt::format("\n{}\n  score", method)), std::string::npos) << list.out;
  }
  EXPECT_TRUE(std::filesystem::exists(mask_file(10, 10)));
}

TEST_F(ScoreProgramTest, SelectsAtARate) {
  const std::string store = folder_ / "run/dynamics.tdds";
  write_store(store);
  for (const char* selection : {"top", "bottom", "balanced", "ccs", "beta"}) {
    const Outcome outcome = score({"--dynamics_path", store, "--subset_rate", "0.7", "--selection", selection,
                                   "--format", "npy,txt,csv,json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("keeps 60 of 200"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("by class: "), std::string::npos) << outcome.out;
    const std::string stem = fmt::format("tdds_win10_ep10_{}_rate0.7", selection);
    auto ids = read_npy_i64(fmt::format("{}/kept_{}.npy", masks_, stem));
    EXPECT_EQ(ids.size(), 60u);
    const auto about = nlohmann::json::parse(read_text(fmt::format("{}/kept_{}.json", masks_, stem)));
    EXPECT_EQ(about.at("ids"), ids);
    EXPECT_EQ(about.at("kept"), 60);
    EXPECT_EQ(about.at("selection"), selection);
    EXPECT_EQ(read_text(fmt::format("{}/kept_{}.txt", masks_, stem)),
              fmt::format("{}\n", fmt::join(ids, "\n")));
    const std::string csv = read_text(fmt::format("{}/kept_{}.csv", masks_, stem));
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 201);
    EXPECT_EQ(csv.rfind("id,label,score,kept\n0,0,", 0), 0u) << csv.substr(0, 60);
    // The mask's end are the kept ids, for the official code too.
    auto mask =
        read_npy_i64(std::string(selection) == "top" ? mask_file(10, 10)
                                                     : fmt::format("{}/data_mask_{}.npy", masks_, stem));
    std::sort(mask.begin() + 140, mask.end());
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), mask.begin() + 140));
  }
}

TEST_F(ScoreProgramTest, KeepsAShareOrANumber) {
  const auto kept = [&](const std::vector<std::string>& flags, const std::string& file) {
    std::vector<std::string> args{"--dynamics_path", npy_, "--format", "npy"};
    args.insert(args.end(), flags.begin(), flags.end());
    const Outcome outcome = score(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return read_npy_i64(masks_ + "/" + file);
  };
  const auto by_rate = kept({"--subset_rate", "0.7"}, "kept_tdds_win10_ep10_top_rate0.7.npy");
  EXPECT_EQ(kept({"--keep", "60"}, "kept_tdds_win10_ep10_top_keep60.npy"), by_rate);
  EXPECT_EQ(kept({"--keep", "0.3"}, "kept_tdds_win10_ep10_top_keep0.3.npy"), by_rate);
  for (const int count : {1, 33, 199, 200})
    EXPECT_EQ(
        kept({"--keep", std::to_string(count)}, fmt::format("kept_tdds_win10_ep10_top_keep{}.npy", count))
            .size(),
        static_cast<std::size_t>(count));
  // The lowest 140 are the others of the highest 60.
  const auto lowest =
      kept({"--keep", "140", "--selection", "bottom"}, "kept_tdds_win10_ep10_bottom_keep140.npy");
  std::vector<std::int64_t> all = by_rate;
  all.insert(all.end(), lowest.begin(), lowest.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(), kSamples);
  EXPECT_EQ(all.size(), std::size_t{kSamples});
  // As the rate that says the same, also where 1 - keep is not the double nearest to it.
  EXPECT_EQ(kept({"--keep", "0.9"}, "kept_tdds_win10_ep10_top_keep0.9.npy"),
            kept({"--subset_rate", "0.1"}, "kept_tdds_win10_ep10_top_rate0.1.npy"));
  EXPECT_EQ(kept({"--keep", "0.0001"}, "kept_tdds_win10_ep10_top_keep0.0001.npy").size(), 1u);
  kept({"--keep", "0.9", "--format", "npy,json"}, "kept_tdds_win10_ep10_top_keep0.9.npy");
  EXPECT_EQ(json_of("kept_tdds_win10_ep10_top_keep0.9").at("pruning_rate"), 0.1);
  for (const char* keep : {"0", "-1", "many", "1.5", "inf", "nan"})
    EXPECT_EQ(score({"--dynamics_path", npy_, "--keep", keep}).exit_code, 2) << keep;
  expect_refusal_after({"--keep", "201"}, "--keep is 201 and there are 200 samples");
  expect_refusal_after({"--keep", "0.5", "--subset_rate", "0.5"}, "say the same thing");
}

TEST_F(ScoreProgramTest, RandomCanBeClassBalanced) {
  const std::string store = folder_ / "run/dynamics.tdds";
  write_store(store);
  const Outcome outcome = score({"--dynamics_path", store, "--method", "random", "--keep", "50",
                                 "--selection", "balanced", "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto about = nlohmann::json::parse(read_text(masks_ + "/kept_random_balanced_keep50.json"));
  EXPECT_EQ(about.at("kept_by_class"), std::vector<int>(kClasses, 5));
  EXPECT_EQ(about.at("seed"), 7) << "that of the recorded run";
}

TEST_F(ScoreProgramTest, DrawsByTheSeedOfTheRunUnlessAnotherIsGiven) {
  const std::string store = folder_ / "run/dynamics.tdds";
  write_store(store);
  const auto drawn = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> args{"--dynamics_path", store, "--method", "random"};
    args.insert(args.end(), flags.begin(), flags.end());
    EXPECT_EQ(score(args).exit_code, 0);
    return read_npy_i64(masks_ + "/data_mask_random.npy");
  };
  const auto by_the_run = drawn({});
  EXPECT_EQ(drawn({"--manualSeed", "7"}), by_the_run);
  EXPECT_NE(drawn({"--manualSeed", "42"}), by_the_run);
  EXPECT_EQ(json_of("score_random").at("seed"), 42);
}

// The sentence that says which end is kept, and what a method's file says of settings that it has not.
TEST_F(ScoreProgramTest, SaysWhatASelectionKeeps) {
  const std::string store = folder_ / "run/dynamics.tdds";
  write_store(store);
  const Outcome outcome = score({"--dynamics_path", store, "--method", "el2n,dual", "--method_window", "4",
                                 "--subset_rate", "0.5", "--selection", "bottom"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("by --selection bottom, the lowest scores are kept"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(json_of("kept_el2n_bottom_rate0.5").at("direction"), "the lowest scores");
  EXPECT_EQ(json_of("score_el2n_bottom_rate0.5").at("direction"), "the lowest scores");
  EXPECT_EQ(json_of("score_el2n").at("direction"), "highest");
  for (const char* key : {"seed", "window_size"}) EXPECT_FALSE(json_of("score_el2n").contains(key)) << key;
  EXPECT_EQ(json_of("score_dual").at("window_size"), 4);
}

TEST_F(ScoreProgramTest, RefusesMethodsAndRatesThatMakeNoSense) {
  expect_refusal({"--method", "tdds,el3n"}, 2,
                 "there is no method 'el3n'; choose from tdds, tdds_kl, moderate, random");
  expect_refusal({"--method", "el2n"}, 1, "el2n needs the dynamics store");
  for (const char* rate : {"1", "1.5", "-0.1", "nan"})
    expect_refusal({"--subset_rate", rate}, 2, "it is the share that is pruned, between 0 and 1");
  expect_refusal({"--subset_rate", "0.5", "--format", "xml"}, 2, "there is no format 'xml'");
  expect_refusal({"--subset_rate", "0.5", "--selection", "ccs"}, 1,
                 "--selection ccs needs the dynamics store");
  write_store(folder_ / "run/dynamics.tdds");
  const std::string store = folder_ / "run";
  const auto expect = [&](const std::vector<std::string>& flags, const std::string& words) {
    std::vector<std::string> args{"--dynamics_path", store};
    args.insert(args.end(), flags.begin(), flags.end());
    expect_refusal(args, 2, words);
  };
  expect({"--subset_rate", "0.5", "--selection", "best"}, "there is no selection 'best'");
  expect({"--subset_rate", "0.97", "--selection", "balanced"}, "keeps 6 samples for 10 classes");
  expect({"--subset_rate", "0.1", "--selection", "ccs"}, "the hard cut-off beta is 0.2");
  for (const char* strata : {"0", "201", "2000000000"})
    expect({"--subset_rate", "0.5", "--selection", "ccs", "--ccs_strata", strata}, "there are 200 samples");
  expect({"--subset_rate", "0.5", "--selection", "beta", "--beta_c", "nan"}, "--beta_c is nan");
  expect({"--method", "el2n,tdds,el2n"}, "--method names el2n twice");
  expect({"--window_size", "3,5,3"}, "--window_size names 3 twice");
  expect({"--trajectory_len", "12,12"}, "--trajectory_len names 12 twice");
  expect({"--manualSeed", "-1"}, "-1 is no seed");
  expect({"--method", "el2n", "--method_epochs", "-5"}, "--method_epochs is -5");
  expect({"--method", "el2n", "--method_window", "1"}, "--method_window is 1");
}

// Given, but without effect.
TEST_F(ScoreProgramTest, RefusesAmountsOfNothingAndSelectionsOfNoAmount) {
  expect_refusal({"--subset_rate", "0"}, 2, "--subset_rate is 0");
  expect_refusal({"--keep", "0"}, 2, "--keep is 0");
  expect_refusal({"--selection", "nonsense"}, 2, "there is no selection 'nonsense'");
  expect_refusal({"--selection", "bottom"}, 2, "say how many with --subset_rate or --keep");
}

TEST_F(ScoreProgramTest, NamesWhatWasNotRecorded) {
  const std::string store = folder_ / "run/dynamics.tdds";
  DynamicsHeader header;
  header.samples = 3;
  header.classes = 2;
  header.fields = {DynamicsField::kKl};
  DynamicsWriter writer(store, header);
  for (int epoch = 0; epoch < 10; ++epoch) writer.append(epoch, EpochDynamics(3));
  ASSERT_EQ(score({"--dynamics_path", store}).exit_code, 0);
  const auto refusal = [&](const char* method) {
    const Outcome outcome = score({"--dynamics_path", store, "--method", method});
    EXPECT_EQ(outcome.exit_code, 1) << method;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    return outcome.err;
  };
  using testing::HasSubstr;
  EXPECT_THAT(refusal("forgetting"), HasSubstr("forgetting needs 'correct'"));
  EXPECT_THAT(refusal("forgetting"), HasSubstr("--dynamics (and correct among --dynamics_fields"));
  EXPECT_THAT(refusal("tdds_kl"), HasSubstr("holds no 'true_kl'"));
  EXPECT_THAT(refusal("moderate"), HasSubstr("holds no labels"));
  std::filesystem::remove(store);
  write_store(store);
  EXPECT_THAT(refusal("grand"), HasSubstr("train again with --dynamics_features"));
  EXPECT_THAT(refusal("moderate"), HasSubstr("which tdds-train --dynamics_features writes"));
  std::filesystem::remove(store);
  std::filesystem::rename(npy_, folder_ / "run/there");
  const Outcome official = score({"--dynamics_path", folder_ / "run/there", "--method", "tdds_kl"});
  EXPECT_EQ(official.exit_code, 1);
  EXPECT_THAT(official.err, HasSubstr("holds official .npy files"));
}

TEST_F(ScoreProgramTest, RefusesMoreClassesThanSamples) {
  const std::string store = folder_ / "run/dynamics.tdds";
  DynamicsHeader header;
  header.samples = 4;
  header.classes = 10;
  header.labels = {0, 3, 3, 9};
  DynamicsWriter writer(store, header);
  for (int epoch = 0; epoch < 10; ++epoch) writer.append(epoch, EpochDynamics(4));
  const Outcome outcome =
      score({"--dynamics_path", store, "--subset_rate", "0.1", "--selection", "balanced"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
  EXPECT_THAT(outcome.err, testing::HasSubstr("keeps 4 samples for 10 classes"));
  EXPECT_EQ(score({"--dynamics_path", store, "--subset_rate", "0.5"}).exit_code, 0);
}

// Each outcome is whole epochs scored, or one sentence: never a crash, never a wrong score.
TEST_F(ScoreProgramTest, SurvivesAStoreCutAtAnyByteAndAnyFlippedBit) {
  const std::string path = folder_ / "run/dynamics.tdds";
  write_store(path);
  const std::string whole = read_text(path);
  const auto run = [&](const std::string& bytes) {
    write_text(path, bytes);
    return score({"--dynamics_path", path, "--trajectory_len", "4", "--window_size", "3"});
  };
  ASSERT_EQ(run(whole).exit_code, 0);
  const std::string expected = read_text(score_file(3, 4));
  for (std::size_t length = 0; length < whole.size(); length += whole.size() / 23 + 1) {
    std::filesystem::remove(score_file(3, 4));
    const Outcome outcome = run(whole.substr(0, length));
    if (outcome.exit_code == 0) {
      EXPECT_EQ(read_text(score_file(3, 4)), expected);
      continue;
    }
    EXPECT_TRUE(outcome.exit_code == 1 || outcome.exit_code == 2) << length;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
  }
  for (std::size_t at = 3; at < whole.size(); at += at < 200 ? 37 : whole.size() / 19) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
    const Outcome outcome = run(flipped);
    EXPECT_EQ(outcome.exit_code, 1) << at;
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
  }
}

// scripts/read_dynamics.py: whole epochs or its ValueError, wherever the file is cut.
TEST_F(ScoreProgramTest, TheReaderInPythonSurvivesAStoreCutAnywhere) {
  if (std::system("python3 -c 'import numpy' 2>/dev/null") != 0) GTEST_SKIP() << "python3 has no numpy here";
  const std::string path = folder_ / "run/dynamics.tdds", script = folder_ / "cut.py";
  write_store(path);
  write_text(script, R"(
import sys
sys.path.insert(0, sys.argv[1] + "/scripts")
from read_dynamics import read_dynamics
whole = open(sys.argv[2], "rb").read()
assert read_dynamics(sys.argv[2]).epochs == 12
for length in [*range(0, 100), *range(100, len(whole), 997)]:
    with open(sys.argv[2], "wb") as cut:
        cut.write(whole[:length])
    try:
        read_dynamics(sys.argv[2])
    except ValueError as error:
        assert length < 40 or "dynamics.tdds" in str(error), error
)");
  EXPECT_EQ(std::system(fmt::format("python3 {} {} {}", script, TDDS_SOURCE_DIR, path).c_str()), 0);
}

TEST_F(ScoreProgramTest, RefusesADamagedStoreAndLeavesOutATornEnd) {
  const std::string path = folder_ / "run/dynamics.tdds";
  write_store(path);
  const std::string whole = read_text(path);
  const auto run = [&](const std::string& bytes) {
    write_text(path, bytes);
    return score({"--dynamics_path", path});
  };
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 16;
  const Outcome damaged = run(flipped);
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(damaged.err, "tdds-score")) << damaged.err;
  EXPECT_NE(damaged.err.find("its checksum is wrong"), std::string::npos) << damaged.err;

  const Outcome torn = run(whole.substr(0, whole.size() - 100));
  EXPECT_EQ(torn.exit_code, 0) << torn.err;
  EXPECT_NE(torn.out.find("the record of epoch 11 was never finished"), std::string::npos) << torn.out;
  const Outcome half = run(whole.substr(0, whole.size() / 2));
  EXPECT_EQ(half.exit_code, 2);
  EXPECT_NE(half.err.find("epochs; train longer or ask for less"), std::string::npos) << half.err;
  EXPECT_EQ(run(whole.substr(0, 100)).exit_code, 1);
}

// Wherever the disk ends: the mask, which is written first, is also the largest file.
TEST_F(ScoreProgramTest, AFullDiskLosesNothing) {
  ASSERT_EQ(score({"--dynamics_path", npy_}).exit_code, 0);
  const std::string mask = read_text(mask_file(10, 10)), scores = read_text(score_file(10, 10));
  for (const std::size_t bytes : {std::size_t{400}, scores.size() - 1, scores.size() + 1, mask.size() - 1}) {
    const Outcome outcome =
        score({"--dynamics_path", npy_, "--decay", "0.5"}, {.file_bytes = static_cast<long>(bytes)});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-score")) << outcome.err;
    EXPECT_NE(outcome.err.find(mask_file(10, 10)), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("the file-size limit is reached"), std::string::npos) << outcome.err;
    EXPECT_TRUE(read_text(mask_file(10, 10)) == mask) << bytes;
    EXPECT_TRUE(read_text(score_file(10, 10)) == scores) << bytes;
    for (const auto& entry : std::filesystem::directory_iterator(masks_))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
}

TEST_F(ScoreProgramTest, AnUnwritableFolderIsNamed) {
  write_text(folder_ / "in_the_way", "");
  const Outcome outcome =
      run_tool("tdds-score", {"--dynamics_path", npy_, "--mask_path", folder_ / "in_the_way/masks"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("in_the_way"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace tdds::test
