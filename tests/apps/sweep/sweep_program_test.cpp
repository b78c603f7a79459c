// tdds-sweep end to end, on drawn images and tiny networks.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/io/dynamics_store.h"
#include "tests/apps/sweep/tiny_sweep.h"

namespace tdds::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> tiny(const std::string& folder) {
  return with(data_and_net(folder), {"--methods", "all,tdds,random", "--rates", "0.5,0.7", "--seeds", "1,2",
                                     "--subset_batch_size", "40"});
}

std::size_t lines_of(const std::string& path) {
  const std::string text = read_text(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

void expect_trained(const Json& run, const TemporaryFolder& folder) {
  const std::int64_t kept = run.at("rate") == 0.5 ? 60 : 36;
  EXPECT_EQ(run.at("kept"), kept);
  EXPECT_EQ(run.at("epochs"), 3);
  EXPECT_EQ(run.at("steps"), 3 * (kept == 60 ? 2 : 1));
  EXPECT_GE(run.at("best_accuracy"), run.at("last_accuracy"));
  EXPECT_GT(run.at("best_accuracy"), 1) << "in percent";
  const std::string run_folder = run.at("folder"), selection = run.at("selection");
  EXPECT_EQ(lines_of(folder / selection), static_cast<std::size_t>(kept));
  EXPECT_TRUE(std::filesystem::exists(folder / (run_folder + "/curve.svg")));
  EXPECT_FALSE(std::filesystem::exists(folder / (run_folder + "/checkpoint.safetensors")));
  EXPECT_EQ(json_of(folder / (run_folder + "/selection.json")).at("kept"), kept);
}

TEST(SweepProgramTest, TrainsScoresSelectsAndTrainsAgain) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool("tdds-sweep", tiny(folder.str()));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json sweep = json_of(folder / "sweep.json");
  EXPECT_EQ(sweep.at("format"), "tdds-sweep-1");
  EXPECT_EQ(sweep.at("samples"), 120);
  EXPECT_EQ(sweep.at("settings").at("rates"), "0.5,0.7");
  ASSERT_EQ(sweep.at("scoring_runs").size(), 2u);
  EXPECT_EQ(sweep.at("scoring_runs")[1].at("folder"), "seed2/all");
  ASSERT_EQ(sweep.at("runs").size(), 8u);
  for (const Json& run : sweep.at("runs")) expect_trained(run, folder);
  EXPECT_EQ(sweep.at("runs")[0].at("folder"), "seed1/tdds_0.5");
  EXPECT_EQ(DynamicsReader(folder / "seed2/all/dynamics.tdds").epochs(), 3);
  EXPECT_TRUE(std::filesystem::exists(folder / "seed1/scores/data_mask_win3_ep3.npy"));

  ASSERT_EQ(sweep.at("wrong_labels").size(), 8u);  // two methods, two seeds, two ends
  for (const Json& found : sweep.at("wrong_labels")) {
    EXPECT_EQ(found.at("count"), 12);
    EXPECT_LE(found.at("precision"), 1);
  }
  EXPECT_EQ(lines_of(folder / "table.csv"), 2 + 4u);
  const std::string table = read_text(folder / "table.md");
  for (const char* part : {"all samples", "| tdds", "| random", "50 % pruned: 60 kept", "±", "Planted"})
    EXPECT_NE(table.find(part), std::string::npos) << part;
  EXPECT_NE(outcome.out.find(table), std::string::npos) << "the table is printed";
  EXPECT_NE(outcome.out.find("run 10 of 10"), std::string::npos) << outcome.out;
}

struct Batches {
  const char* name;
  std::vector<std::string> given;
  const char *all, *subsets;  // as in the record
  std::int64_t all_steps, subset_steps;
};

class SweepBatchTest : public testing::TestWithParam<Batches> {};

// Subsets use the batch size of all samples unless the command says otherwise, and every output shows the
// batches and steps.
TEST_P(SweepBatchTest, IsThatOfAllSamplesOrTheOfficialPair) {
  const TemporaryFolder folder;
  const auto args = with(
      {"--dataset", "shapes", "--shapes_train",  "120",       "--shapes_test", "40",     "--width", "0.03125",
       "--epochs",  "3",      "--learning_rate", "0.05",      "--methods",     "random", "--rates", "0.5",
       "--seeds",   "1",      "--save_path",     folder.str()},
      GetParam().given);
  const Outcome outcome = run_tool("tdds-sweep", args);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json sweep = json_of(folder / "sweep.json");
  EXPECT_EQ(sweep.at("settings").at("batch_size"), GetParam().all);
  EXPECT_EQ(sweep.at("settings").at("subset_batch_size"), GetParam().subsets);
  EXPECT_EQ(sweep.at("runs")[0].at("steps"), GetParam().subset_steps);
  EXPECT_EQ(json_of(folder / "seed1/all/result.json").at("run").at("batch_size"), GetParam().all);
  EXPECT_EQ(json_of(folder / "seed1/random_0.5/result.json").at("run").at("batch_size"), GetParam().subsets);

  const std::string all = fmt::format("{} steps of {}", GetParam().all_steps, GetParam().all),
                    subset = fmt::format("{} steps of {}", GetParam().subset_steps, GetParam().subsets);
  EXPECT_THAT(read_text(folder / "table.md"),
              AllOf(HasSubstr("all samples: " + all), HasSubstr("60 kept, " + subset)));
  EXPECT_THAT(read_text(folder / "table.csv"),
              AllOf(HasSubstr(fmt::format(",{},{}\nrandom,", GetParam().all, GetParam().all_steps)),
                    HasSubstr(fmt::format(",{},{}\n", GetParam().subsets, GetParam().subset_steps))));
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("all samples: " + all), HasSubstr("rate 0.5: 60 kept, " + subset)));
  EXPECT_THAT(
      read_text(folder / "seed1/random_0.5/log.txt"),
      HasSubstr(fmt::format("60 images in steps of {}: {} steps an epoch, {} in all", GetParam().subsets,
                            GetParam().subset_steps / 3, GetParam().subset_steps)));

  const Outcome more = run_tool("tdds-sweep", {"--save_path", folder.str(), "--methods", "random,tdds"});
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_EQ(json_of(folder / "sweep.json").at("runs")[1].at("steps"), GetParam().subset_steps)
      << "as it was started";
}

INSTANTIATE_TEST_SUITE_P(
    All, SweepBatchTest,
    testing::Values(Batches{"neither", {}, "100", "128", 6, 3},
                    Batches{"both", {"--batch-size", "40", "--subset-batch-size", "20"}, "40", "20", 9, 9},
                    Batches{"all_samples", {"--batch-size", "40"}, "40", "40", 9, 6},
                    Batches{"the_official_one", {"--batch-size", "100"}, "100", "100", 6, 3},
                    Batches{"subsets", {"--subset-batch-size", "30"}, "100", "30", 6, 6}),
    [](const auto& test) { return test.param.name; });

// A sweep that was started with other batch sizes, for example with the earlier default of 128 for subsets,
// keeps them.
TEST(SweepProgramTest, AContinuedSweepKeepsItsBatches) {
  const TemporaryFolder folder;
  const auto args =
      with(data_and_net(folder.str()), {"--methods", "random", "--rates", "0.3", "--seeds", "1"});
  ASSERT_EQ(run_tool("tdds-sweep", with(args, {"--subset_batch_size", "128"})).exit_code, 0);
  const Outcome more = run_tool("tdds-sweep", with(args, {"--methods", "random,tdds"}));
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.out, AllOf(HasSubstr("flags taken from"), HasSubstr(" --subset_batch_size 128")));
  const Json record = json_of(folder / "sweep.json");
  for (const Json& run : record.at("runs")) EXPECT_EQ(run.at("steps"), 3) << run;
  const Outcome other =
      run_tool("tdds-sweep", with(args, {"--methods", "random,tdds", "--subset_batch_size", "40"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("was started with --subset_batch_size 128, and this command has 40"));
}

TEST(SweepProgramTest, WarnsAboutSubsetsWithFewSteps) {
  const TemporaryFolder folder;
  const auto args = with(data_and_net(folder.str()),
                         {"--methods", "random", "--rates", "0.3,0.5", "--seeds", "1", "--epochs", "60"});
  const Outcome outcome = run_tool("tdds-sweep", with(args, {"--subset_batch_size", "20"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string warning = "warning: 180 optimizer steps";
  EXPECT_THAT(outcome.out, HasSubstr(warning));
  EXPECT_THAT(read_text(folder / "table.md"),
              AllOf(HasSubstr("50 % pruned: " + warning), Not(HasSubstr("30 % pruned: warn"))));
  EXPECT_THAT(read_text(folder / "seed1/random_0.5/log.txt"), HasSubstr(warning));
  EXPECT_THAT(read_text(folder / "seed1/random_0.3/log.txt"), Not(HasSubstr("warning")));
  EXPECT_THAT(read_text(folder / "seed1/all/log.txt"), Not(HasSubstr("warning")))
      << "the baseline gets no warning";
}

TEST(SweepProgramTest, EverySelectionKeepsTheSameNumber) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool(
      "tdds-sweep", with(tiny(folder.str()), {"--methods", "tdds+balanced,ccs,dual_beta,random+balanced",
                                              "--rates", "0.5", "--seeds", "3"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json sweep = json_of(folder / "sweep.json");
  ASSERT_EQ(sweep.at("runs").size(), 4u);
  for (const Json& run : sweep.at("runs")) EXPECT_EQ(run.at("kept"), 60) << run;
  const DynamicsReader dynamics(folder / "seed3/all/dynamics.tdds");
  std::vector<int> counts(10);
  for (const std::int32_t label : dynamics.header().labels) ++counts[label];
  const Json kept = json_of(folder / "seed3/random+balanced_0.5/selection.json").at("kept_by_class");
  for (int c = 0; c < 10; ++c) EXPECT_NEAR(kept[c].get<int>(), counts[c] / 2.0, 1) << c;
  EXPECT_EQ(sweep.at("wrong_labels").size(), 8u) << "of tdds, aum, dual and random";
}

// The runs share the data set, the network and the plans, and still give the results of the single programs.
TEST(SweepProgramTest, ItsRunsAreThoseOfTheSinglePrograms) {
  const TemporaryFolder sweep, all, masks, subset;
  ASSERT_EQ(
      run_tool("tdds-sweep", with(tiny(sweep.str()), {"--seeds", "7,42", "--methods", "tdds"})).exit_code, 0);
  ASSERT_EQ(run_tool("tdds-train", with(data_and_net(all.str()), {"--dynamics"})).exit_code, 0);
  EXPECT_TRUE(read_text(sweep / "seed42/all/dynamics.tdds") == read_text(all / "dynamics.tdds"));
  ASSERT_EQ(run_tool("tdds-score", {"--dynamics_path", all.str(), "--mask_path", masks.str(),
                                    "--trajectory_len", "3", "--window_size", "3"})
                .exit_code,
            0);
  for (const char* rate : {"0.7", "0.5"}) {
    const Outcome single =
        run_tool("tdds-train-subset",
                 with(data_and_net(subset.str()),
                      {"--overwrite", "--subset_rate", rate, "--mask_path", masks / "data_mask_win3_ep3.npy",
                       "--score_path", masks / "score_win3_ep3.npy"}));
    ASSERT_EQ(single.exit_code, 0) << single.err;
    EXPECT_EQ(json_of(subset / "result.json").at("last_train_loss"),
              json_of(sweep / fmt::format("seed42/tdds_{}/result.json", rate)).at("last_train_loss"));
  }
}

TEST(SweepProgramTest, KilledAtAnyPointAndRunAgainItEndsTheSame) {
  const TemporaryFolder whole, killed;
  const auto args = [](const TemporaryFolder& folder) {
    return with(tiny(folder.str()), {"--rates", "0.5", "--checkpoint_minutes", "0"});
  };
  ASSERT_EQ(run_tool("tdds-sweep", args(whole)).exit_code, 0);
  for (const int delay : {60, 140, 230, 310, 180, 270})
    run_tool("tdds-sweep", args(killed), {.kill_after_ms = delay});
  const Outcome last = run_tool("tdds-sweep", args(killed));
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_EQ(read_text(whole / "sweep.json"), read_text(killed / "sweep.json"));
  EXPECT_EQ(read_text(whole / "table.md"), read_text(killed / "table.md"));
}

TEST(SweepProgramTest, AFinishedSweepTrainsNothingAgainAndMethodsCanBeAdded) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str()), {"--rates", "0.5", "--seeds", "1"});
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  const std::string before = read_text(folder / "sweep.json"), log = read_text(folder / "seed1/all/log.txt");
  const Outcome again = run_tool("tdds-sweep", args);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.out.find("3 are done"), std::string::npos) << again.out;
  EXPECT_EQ(read_text(folder / "sweep.json"), before);

  const Outcome more = run_tool("tdds-sweep", with(args, {"--methods", "tdds,random,el2n"}));
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_EQ(json_of(folder / "sweep.json").at("runs").size(), 3u);
  EXPECT_EQ(read_text(folder / "seed1/all/log.txt"), log) << "the training on all samples was not repeated";
}

// A method that needs features cannot be added to trainings that did not record them.
TEST(SweepProgramTest, FeaturesAreRecordedFromTheStartOrNever) {
  const TemporaryFolder without, with_them;
  const std::vector<std::string> small{"--rates", "0.5", "--seeds", "1", "--methods", "random"};
  const auto args = with(tiny(without.str()), small);
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  const std::string before = read_text(without / "sweep.json");
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--methods", "random,grand"},
                                               {"--methods", "random,moderate"},
                                               {"--dynamics_features"}}) {
    const Outcome outcome = run_tool("tdds-sweep", with(args, more));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-sweep")) << outcome.err;
    EXPECT_NE(outcome.err.find("was started without features"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("--overwrite"), std::string::npos) << outcome.err;
    EXPECT_EQ(read_text(without / "sweep.json"), before);
  }
  EXPECT_EQ(run_tool("tdds-sweep", args).exit_code, 0);

  const auto recording = with(tiny(with_them.str()), small);
  ASSERT_EQ(run_tool("tdds-sweep", with(recording, {"--dynamics_features"})).exit_code, 0);
  const Outcome added = run_tool("tdds-sweep", with(recording, {"--methods", "random,grand,moderate"}));
  EXPECT_EQ(added.exit_code, 0) << added.err;
  EXPECT_EQ(json_of(with_them / "sweep.json").at("runs").size(), 3u);
}

TEST(SweepProgramTest, AMethodWithoutARunMayBeLeftOut) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str()), {"--rates", "0.5", "--seeds", "1"});
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  Json sweep = json_of(folder / "sweep.json");
  sweep["settings"]["methods"] = "tdds,random,entropy";
  sweep["wrong_labels"].push_back(sweep["wrong_labels"][0]);
  sweep["wrong_labels"].back()["method"] = "entropy";
  write_text(folder / "sweep.json", sweep.dump());
  const Outcome outcome = run_tool("tdds-sweep", args);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(json_of(folder / "sweep.json").at("settings").at("methods"), "tdds,random");
  EXPECT_EQ(read_text(folder / "table.md").find("entropy"), std::string::npos);
}

TEST(SweepProgramTest, OverwritingRemovesTheEarlierSweep) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str()), {"--methods", "random,el2n", "--seeds", "1,2"});
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  write_text(folder / "seed1/notes.txt", "mine");
  const Outcome overwritten = run_tool(
      "tdds-sweep", with(args, {"--methods", "el2n", "--seeds", "1", "--rates", "0.5", "--overwrite"}));
  ASSERT_EQ(overwritten.exit_code, 0) << overwritten.err;
  for (const char* gone : {"seed1/random_0.5", "seed1/el2n_0.7", "seed1/scores/score_random.npy", "seed2",
                           "seed1/el2n_0.7/ids.txt"})
    EXPECT_FALSE(std::filesystem::exists(folder / gone)) << gone;
  for (const char* there : {"seed1/notes.txt", "seed1/all/dynamics.tdds", "seed1/el2n_0.5/ids.txt"})
    EXPECT_TRUE(std::filesystem::exists(folder / there)) << there;
}

TEST(SweepProgramTest, OtherSettingsAreRefusedUnlessItIsOverwritten) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str()), {"--rates", "0.5", "--seeds", "1"});
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  const std::pair<const char*, const char*> changes[] = {{"--momentum", "0.8"},
                                                         {"--rates", "0.6"},
                                                         {"--methods", "random"},
                                                         {"--seeds", "2"},
                                                         {"--budget", "steps"}};
  for (const auto& [flag, value] : changes) {
    const Outcome other = run_tool("tdds-sweep", with(args, {flag, value}));
    EXPECT_EQ(other.exit_code, 1) << flag;
    EXPECT_TRUE(is_one_sentence(other.err, "tdds-sweep")) << other.err;
    EXPECT_NE(other.err.find(flag), std::string::npos) << other.err;
  }
  EXPECT_EQ(run_tool("tdds-sweep", with(args, {"--threads", "1"})).exit_code, 0) << "changes no result";
  EXPECT_EQ(run_tool("tdds-sweep", with(args, {"--rates", "0.50", "--seeds", "01", "--width", "3.125e-2"}))
                .exit_code,
            0)
      << "the same numbers";
  const Outcome overwritten = run_tool("tdds-sweep", with(args, {"--momentum", "0.8", "--overwrite"}));
  EXPECT_EQ(overwritten.exit_code, 0) << overwritten.err;
  EXPECT_NE(overwritten.out.find("0 are done"), std::string::npos) << overwritten.out;
}

TEST(SweepProgramTest, AnInterruptSavesAndSaysHowToContinue) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str()), {"--epochs", "400"});
  const auto saved = [&] { return std::filesystem::exists(folder / "seed1/all/checkpoint.safetensors"); };
  const Outcome stopped = run_tool("tdds-sweep", args, {.interrupt_when = saved});
  EXPECT_EQ(stopped.exit_code, 130);
  EXPECT_TRUE(is_one_sentence(stopped.err, "tdds-sweep")) << stopped.err;
  EXPECT_NE(stopped.err.find("run the same command again to continue"), std::string::npos) << stopped.err;
  EXPECT_TRUE(saved());
  std::filesystem::remove_all(folder / "seed1");
  const Outcome overwritten = run_tool("tdds-sweep", with(args, {"--overwrite"}), {.interrupt_when = saved});
  EXPECT_EQ(overwritten.exit_code, 130);
  EXPECT_NE(overwritten.err.find("again without --overwrite to continue"), std::string::npos)
      << overwritten.err;
}

TEST(SweepProgramTest, ABudgetOfStepsTrainsSmallSubsetsForMoreEpochs) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool(
      "tdds-sweep", with(tiny(folder.str()), {"--budget", "steps", "--seeds", "1", "--methods", "random"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json runs = json_of(folder / "sweep.json").at("runs");
  EXPECT_EQ(runs[0].at("epochs"), 5) << "9 steps on all samples, 2 per epoch here";
  EXPECT_EQ(runs[0].at("steps"), 10);
  EXPECT_EQ(runs[1].at("epochs"), 9);
  EXPECT_EQ(runs[1].at("steps"), 9);
}

// The dynamics of a seed that is scored again are missing, or lack the field that a method needs.
TEST(SweepProgramTest, NamesMissingDynamicsOfAMethod) {
  const TemporaryFolder folder;
  const auto args = with(tiny(folder.str()), {"--rates", "0.5", "--seeds", "1"});
  ASSERT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  const std::string path = folder / "seed1/all/dynamics.tdds";
  DynamicsHeader header = DynamicsReader(path).header();
  header.fields = {DynamicsField::kAbsKl, DynamicsField::kLoss, DynamicsField::kCorrect};
  {
    DynamicsWriter writer(path, header);
    for (int epoch = 0; epoch < 3; ++epoch) writer.append(epoch, EpochDynamics(header.samples));
  }
  const std::string before = read_text(folder / "sweep.json");
  const auto more = with(args, {"--methods", "tdds,random,entropy"});
  const Outcome lacking = run_tool("tdds-sweep", more);
  EXPECT_EQ(lacking.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(lacking.err, "tdds-sweep")) << lacking.err;
  EXPECT_NE(lacking.err.find("entropy needs 'entropy'"), std::string::npos) << lacking.err;
  EXPECT_EQ(read_text(folder / "sweep.json"), before) << "the sweep stays without it";
  EXPECT_EQ(run_tool("tdds-sweep", args).exit_code, 0);
  std::filesystem::remove(path);
  const Outcome gone = run_tool("tdds-sweep", more);
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(gone.err, "tdds-sweep")) << gone.err;
  EXPECT_NE(gone.err.find("dynamics.tdds"), std::string::npos) << gone.err;
}

TEST(SweepProgramTest, ADamagedRecordIsNamed) {
  const TemporaryFolder folder;
  write_text(folder / "sweep.json", "{\"format\": \"tdds-sweep-1\", ");
  const Outcome outcome = run_tool("tdds-sweep", tiny(folder.str()));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-sweep")) << outcome.err;
  EXPECT_NE(outcome.err.find("sweep.json"), std::string::npos) << outcome.err;
}

struct BadInput {
  const char* name;
  std::vector<std::string> args;
  int exit_code;
  const char* says;
};

class SweepBadInputTest : public testing::TestWithParam<BadInput> {};

TEST_P(SweepBadInputTest, IsOneSentenceBeforeAnythingIsTrained) {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool("tdds-sweep", with(tiny(folder.str()), GetParam().args));
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code) << outcome.err;
  EXPECT_NE(outcome.err.find(GetParam().says), std::string::npos) << outcome.err;
  EXPECT_TRUE(is_one_sentence(outcome.err, "tdds-sweep")) << outcome.err;
  EXPECT_TRUE(std::filesystem::is_empty(folder.str()));
}

INSTANTIATE_TEST_SUITE_P(
    All, SweepBadInputTest,
    testing::Values(
        BadInput{"rate_of_one", {"--rates", "0.5,1"}, 2, "--rates names 1"},
        BadInput{"rate_of_zero", {"--rates", "0"}, 2, "--rates names 0"},
        BadInput{"rate_below", {"--rates=-0.5"}, 2, "-0.5"},
        BadInput{"rate_nan", {"--rates", "nan"}, 2, "nan"},
        BadInput{"rate_twice", {"--rates", "0.5,0.5"}, 2, "0.5 twice"},
        BadInput{"seed_below", {"--seeds", "1,-1"}, 2, "--seeds is -1"},
        BadInput{"seed_twice", {"--seeds", "1,1"}, 2, "--seeds names 1 twice"},
        BadInput{"method", {"--methods", "tdds,telepathy"}, 2, "telepathy"},
        BadInput{"selection", {"--methods", "tdds+worst"}, 2, "worst"},
        BadInput{"no_method", {"--methods", "all"}, 2, "every"},
        BadInput{"classes", {"--rates", "0.95"}, 2, "fewer than the 10 classes"},
        BadInput{"trajectory", {"--trajectory_len", "5", "--window_size", "3"}, 2, "3 epochs"},
        BadInput{"window", {"--window_size", "2"}, 2, "--window_size is 2"},
        BadInput{"window_of_others", {"--method_window", "4"}, 2, "--method_window is 4"},
        BadInput{"lengths", {"--window_size", "3,3,3"}, 2, "3 values for 2 rates"},
        BadInput{"least_epochs", {"--epochs", "1", "--methods", "dyn_unc"}, 2, "dyn_unc needs 2 epochs"},
        BadInput{"cut_off", {"--methods", "ccs", "--ccs_beta", "0.6"}, 2, "beta <= rate"},
        BadInput{"beta_of_aum", {"--methods", "aum+beta,el2n"}, 2, "those of aum can be negative"},
        BadInput{"beta_of_aum_logit", {"--methods", "aum_logit+beta"}, 2, "those of aum_logit can be"},
        BadInput{"beta_of_moderate", {"--methods", "moderate+beta"}, 2, "those of moderate can be"},
        BadInput{"beta_of_one_epoch", {"--epochs", "1", "--methods", "random+beta"}, 2, "of 2 epochs"},
        BadInput{"no_strata", {"--ccs_strata", "0"}, 2, "--ccs_strata is 0"},
        BadInput{"strata", {"--methods", "ccs", "--ccs_strata", "121"}, 2, "there are 120 samples"},
        BadInput{"exponent_nan", {"--beta_c", "nan"}, 2, "--beta_c is nan"},
        BadInput{"exponent_below", {"--beta_c=-1"}, 2, "--beta_c is -1"},
        BadInput{"share_without_corruption", {"--corrupt_fraction", "0.5"}, 2, "--corrupt"},
        BadInput{"budget", {"--budget", "hours"}, 2, "hours"},
        BadInput{"batch", {"--subset_batch_size", "0"}, 2, "--batch_size"},
        BadInput{"flag_of_training", {"--stop_after_epoch", "1"}, 2, "stop_after_epoch"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tdds::test
