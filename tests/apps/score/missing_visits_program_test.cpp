// tdds-score and tdds-report on recordings of a loader that drops its last incomplete batch.

#include <gmock/gmock.h>

#include "tests/apps/recorded_dynamics.h"

namespace tdds::test {
namespace {

using testing::HasSubstr;

class MissingVisitsProgramTest : public RecordedDynamicsTest {
 protected:
  // 200 samples in batches of 64: 192 are visited in each of these epochs.
  void drop_last_of(int epochs) {
    for (int epoch = 0; epoch < epochs; ++epoch) {
      std::vector<std::int64_t> order = ids(epoch);
      order.resize(192);
      write_epoch(npy_, epoch, order);
    }
  }
  Outcome report(const std::vector<std::string>& flags) const {
    return run_tool("tdds-report", with({"--dynamics_path", npy_, "--output", page_}, flags));
  }
  std::string page_ = folder_ / "report.html";
};

TEST_F(MissingVisitsProgramTest, AreRejectedWithTheReasonAndTheFix) {
  drop_last_of(kEpochs);
  const std::string words =
      "8 of 200 samples (the largest id plus one) were not visited in epoch 0: the loader dropped the last "
      "incomplete batch (drop_last=True), or samples were left out; record every sample in every epoch "
      "(drop_last=False), or give --missing carry";
  expect_refusal({}, 1, words);
  const Outcome outcome = report({});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-report")) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(words));
  EXPECT_FALSE(std::filesystem::exists(page_));
}

TEST_F(MissingVisitsProgramTest, AreCarriedCountedAndKeptBesideTheMask) {
  drop_last_of(3);
  const Outcome outcome =
      score({"--dynamics_path", npy_, "--missing", "carry", "--subset_rate", "0.5", "--samples", "203"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      HasSubstr("missing visits: 54 in 10 of 10 epochs, at most 11 of 203 samples (as given) in epoch 0"));
  EXPECT_THAT(outcome.out, HasSubstr("3 samples were never visited, and their score is 0"));
  const nlohmann::json expected{{"rule", "carry"},
                                {"samples", 203},
                                {"samples_from", "as given"},
                                {"count", 54},
                                {"by_epoch", {11, 11, 11, 3, 3, 3, 3, 3, 3, 3}},
                                {"never_visited", 3}};
  for (const char* name : {"score_win10_ep10", "kept_tdds_win10_ep10_top_rate0.5"})
    EXPECT_EQ(json_of(name).at("missing_visits"), expected) << name;
  const auto mask = read_npy_i64(mask_file(10, 10));
  const auto scores = read_npy_f32(score_file(10, 10));
  ASSERT_EQ(mask.size(), 203u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(mask[i], 200 + static_cast<std::int64_t>(i));
    EXPECT_EQ(scores[i], 0.0f);
  }
}

TEST_F(MissingVisitsProgramTest, CarryChangesNoByteOfACompleteRecording) {
  ASSERT_EQ(score({"--dynamics_path", npy_}).exit_code, 0);
  const std::string mask = read_text(mask_file(10, 10)), scores = read_text(score_file(10, 10));
  EXPECT_FALSE(json_of("score_win10_ep10").contains("missing_visits"));
  const Outcome outcome = score({"--dynamics_path", npy_, "--missing", "carry"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("missing visits: none in 10 epochs of 200 samples"));
  EXPECT_EQ(json_of("score_win10_ep10").at("missing_visits").at("count"), 0);
  EXPECT_EQ(read_text(mask_file(10, 10)), mask);
  EXPECT_EQ(read_text(score_file(10, 10)), scores);
}

TEST_F(MissingVisitsProgramTest, AreShownInTheReport) {
  drop_last_of(kEpochs);
  const Outcome outcome = report({"--missing", "carry"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string words =
      "missing visits: 96 in 12 of 12 epochs, at most 8 of 200 samples (the largest id plus one) in epoch 0";
  EXPECT_THAT(outcome.out, HasSubstr(words));
  EXPECT_THAT(read_text(page_), HasSubstr(words));
}

TEST_F(MissingVisitsProgramTest, FlagsAreChecked) {
  expect_refusal({"--missing", "guess"}, 2, "--missing is 'guess'; choose refuse or carry");
  expect_refusal({"--samples", "-1"}, 2, "--samples is -1");
  expect_refusal({"--samples", "150"}, 1, "with 150 samples the ids are 0 to 149");
  std::vector<std::int64_t> order = ids(4);
  order[17] = order[3];
  write_epoch(npy_, 4, order);
  expect_refusal({"--missing", "carry"}, 1,
                 fmt::format("4_Index.npy holds the sample id {} twice", order[3]));
}

}  // namespace
}  // namespace tdds::test
