// tdds-score end to end: methods other than TDDS, and the samples kept by their scores.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/apps/recorded_dynamics.h"

namespace tdds::test {
namespace {

class ScoreSelectionTest : public RecordedDynamicsTest {};

TEST_F(ScoreSelectionTest, ScoresByEveryMethodInOneRun) {
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

TEST_F(ScoreSelectionTest, SelectsAtARate) {
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
    // The end of the mask holds the kept ids, as the official code expects.
    auto mask =
        read_npy_i64(std::string(selection) == "top" ? mask_file(10, 10)
                                                     : fmt::format("{}/data_mask_{}.npy", masks_, stem));
    std::sort(mask.begin() + 140, mask.end());
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), mask.begin() + 140));
  }
}

TEST_F(ScoreSelectionTest, KeepsAShareOrANumber) {
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
  // The lowest 140 are the complement of the highest 60.
  const auto lowest =
      kept({"--keep", "140", "--selection", "bottom"}, "kept_tdds_win10_ep10_bottom_keep140.npy");
  std::vector<std::int64_t> all = by_rate;
  all.insert(all.end(), lowest.begin(), lowest.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(), kSamples);
  EXPECT_EQ(all.size(), std::size_t{kSamples});
  // The same as with the matching rate, even if 1 - keep is not the double nearest to it.
  EXPECT_EQ(kept({"--keep", "0.9"}, "kept_tdds_win10_ep10_top_keep0.9.npy"),
            kept({"--subset_rate", "0.1"}, "kept_tdds_win10_ep10_top_rate0.1.npy"));
  EXPECT_EQ(kept({"--keep", "0.0001"}, "kept_tdds_win10_ep10_top_keep0.0001.npy").size(), 1u);
  kept({"--keep", "0.9", "--format", "npy,json"}, "kept_tdds_win10_ep10_top_keep0.9.npy");
  EXPECT_EQ(json_of("kept_tdds_win10_ep10_top_keep0.9").at("pruning_rate"), 0.1);
  for (const char* keep : {"0", "-1", "many", "1.5", "inf", "nan"})
    EXPECT_EQ(score({"--dynamics_path", npy_, "--keep", keep}).exit_code, 2) << keep;
  expect_refusal_after({"--keep", "201"}, "--keep is 201, and there are only 200 samples");
  expect_refusal_after({"--keep", "0.5", "--subset_rate", "0.5"}, "say the same thing");
}

TEST_F(ScoreSelectionTest, RandomCanBeClassBalanced) {
  const std::string store = folder_ / "run/dynamics.tdds";
  write_store(store);
  const Outcome outcome = score({"--dynamics_path", store, "--method", "random", "--keep", "50",
                                 "--selection", "balanced", "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto about = nlohmann::json::parse(read_text(masks_ + "/kept_random_balanced_keep50.json"));
  EXPECT_EQ(about.at("kept_by_class"), std::vector<int>(kClasses, 5));
  EXPECT_EQ(about.at("seed"), 7) << "that of the recorded run";
}

TEST_F(ScoreSelectionTest, DrawsByTheSeedOfTheRunUnlessAnotherIsGiven) {
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

// A sentence says which end is kept. The file of a method omits settings that the method does not have.
TEST_F(ScoreSelectionTest, SaysWhatASelectionKeeps) {
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

TEST_F(ScoreSelectionTest, RejectsInvalidMethodsAndRates) {
  expect_refusal({"--method", "tdds,el3n"}, 2,
                 "there is no method 'el3n'; choose from tdds, tdds_kl, random, entropy");
  expect_refusal({"--method", "el2n"}, 1, "el2n needs the dynamics store");
  for (const char* rate : {"1", "1.5", "-0.1"})
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
  expect({"--subset_rate", "0.5", "--selection", "best"},
         "--selection is 'best'; choose top, bottom, balanced, ccs or beta");
  expect({"--subset_rate", "0.97", "--selection", "balanced"}, "keeps 6 samples for 10 classes");
  expect({"--subset_rate", "0.1", "--selection", "ccs"}, "the hard cut-off beta is 0.2");
  for (const char* strata : {"0", "201", "2000000000"})
    expect({"--subset_rate", "0.5", "--selection", "ccs", "--ccs_strata", strata}, "there are 200 samples");
  expect({"--subset_rate", "0.5", "--selection", "beta", "--beta_c", "nan"}, "--beta_c is nan");
  expect({"--method", "el2n,tdds,el2n"}, "--method names el2n twice");
  expect({"--window_size", "3,5,3"}, "--window_size names 3 twice");
  expect({"--trajectory_len", "12,12"}, "--trajectory_len names 12 twice");
  expect({"--manualSeed", "-1"}, "--manualSeed is -1");
  expect({"--method", "el2n", "--method_epochs", "-5"}, "--method_epochs is -5");
  expect({"--method", "el2n", "--method_window", "1"}, "--method_window is 1");
}

// Flags that would have no effect.
TEST_F(ScoreSelectionTest, RejectsEmptyAmountsAndSelectionsWithoutAmount) {
  expect_refusal({"--subset_rate", "0"}, 2, "--subset_rate is 0");
  expect_refusal({"--keep", "0"}, 2, "--keep is 0");
  expect_refusal({"--selection", "nonsense"}, 2, "--selection is 'nonsense'; choose top,");
  expect_refusal({"--selection", "bottom"}, 2, "say how many with --subset_rate or --keep");
}

TEST_F(ScoreSelectionTest, NamesMissingFields) {
  const std::string store = folder_ / "run/dynamics.tdds";
  DynamicsHeader header;
  header.samples = 3;
  header.classes = 2;
  header.fields = {DynamicsField::kAbsKl};
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
  EXPECT_THAT(refusal("moderate"), HasSubstr("which tdds-train writes with --dynamics_features"));
  std::filesystem::remove(store);
  std::filesystem::rename(npy_, folder_ / "run/there");
  const Outcome official = score({"--dynamics_path", folder_ / "run/there", "--method", "tdds_kl"});
  EXPECT_EQ(official.exit_code, 1);
  EXPECT_THAT(official.err, HasSubstr("holds official .npy files"));
}

TEST_F(ScoreSelectionTest, RefusesMoreClassesThanSamples) {
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

}  // namespace
}  // namespace tdds::test
