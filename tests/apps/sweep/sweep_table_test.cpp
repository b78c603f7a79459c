#include "apps/sweep/sweep_table.h"

#include <gtest/gtest.h>
#include <algorithm>

#include "apps/sweep/paper_results.h"
#include "apps/sweep/sweep_plan.h"

namespace tdds {
namespace {

SweepRecord record_of(const std::string& dataset) {
  SweepRecord record{.dataset = dataset,
                     .arch = "resnet18",
                     .images = {},
                     .width = 0.25,
                     .epochs = 8,
                     .budget = "epochs",
                     .samples = 100,
                     .settings = {{"rates", "0.3,0.9"}, {"batch_size", "50"}, {"subset_batch_size", "50,5"}}};
  record.scoring_runs = {{1, "seed1/all", 90, 88}, {2, "seed2/all", 92, 90}};
  const auto run = [&](const char* method, double rate, std::uint64_t seed, double best, double last) {
    record.runs.push_back(
        {method, rate, seed, rate == 0.3 ? 70 : 10, 8, rate == 0.3 ? 208 : 16, best, last, "f", "s"});
  };
  run("tdds", 0.3, 1, 80, 79);
  run("tdds", 0.3, 2, 83, 79);
  run("tdds", 0.9, 1, 50, 40);
  run("random", 0.3, 1, 70, 69);
  return record;
}

TEST(SweepTableTest, GivesMeanAndSampleDeviationOfBestAndLast) {
  const std::string table = sweep_markdown(record_of("shapes"));
  for (const char* row : {"| method                      | 30 % pruned: 70 kept, 208 steps of 50 | 90 % "
                          "pruned: 10 kept, 16 steps of 5 |\n",
                          "| all samples: 16 steps of 50 | 91.00 ± 1.41 / 89.00 ± 1.41           | 91.00 ± "
                          "1.41 / 89.00 ± 1.41         |\n",
                          "| tdds                        | 81.50 ± 2.12 / 79.00 ± 0.00           | 50.00 / "
                          "40.00                       |\n",
                          "| random                      | 70.00 / 69.00                         |           "
                          "                          |\n"})
    EXPECT_NE(table.find(row), std::string::npos) << row << table;
  EXPECT_EQ(table.find("\n30 % pruned: warning"), std::string::npos) << table;
  EXPECT_NE(table.find("\n90 % pruned: warning: 16 optimizer steps"), std::string::npos) << table;
  EXPECT_EQ(table.find("Published"), std::string::npos) << "the paper has no shapes";
}

TEST(SweepTableTest, SetsPublishedFiguresBesideOursWithTheirSources) {
  const std::string table = sweep_markdown(record_of("cifar100"));
  EXPECT_NE(table.find("77.56 [1]"), std::string::npos) << table;
  EXPECT_NE(table.find("75.10 [2]"), std::string::npos) << table;
  EXPECT_NE(table.find("\n1. Zhang et al. 2024 (TDDS)"), std::string::npos) << table;
  EXPECT_NE(table.find("\n2. Cho et al. 2025 (DUAL), read off\n"), std::string::npos) << table;
  const std::string csv = sweep_csv(record_of("cifar100"));
  EXPECT_NE(csv.find("\nall,0,100,2,91,1.41421356237309"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\ntdds,0.9,10,1,50,,40,,54.51,stated,Zhang et al. 2024"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\nrandom,0.9,10,0,,,,,46.68,derived,Zhang et al. 2024"), std::string::npos) << csv;
  EXPECT_NE(csv.find(",50,208\ntdds,0.9,"), std::string::npos) << csv;
}

TEST(SweepTableTest, IsValidBeforeTheFirstSubsetIsTrained) {
  SweepRecord record = record_of("shapes");
  record.runs.clear();
  EXPECT_NE(sweep_markdown(record).find("| all samples: 16 steps of 50 | 91.00 ± 1.41 / 89.00 ± 1.41 |"),
            std::string::npos);
}

TEST(PublishedAccuracyTest, HasNothingForOtherNetworksAndRates) {
  EXPECT_FALSE(published_accuracy("cifar100", "resnet34", "tdds", 0.3));
  EXPECT_FALSE(published_accuracy("cifar100", "resnet18", "tdds", 0.4));
  EXPECT_FALSE(published_accuracy("shapes", "resnet18", "all", 0));
  EXPECT_EQ(published_accuracy("cifar100", "resnet18", "all", 0)->kind, "stated");
  EXPECT_FALSE(published_accuracy("cifar10", "resnet18", "all", 0)) << "no source is known";
  EXPECT_FALSE(published_accuracy("cifar100", "resnet18", "tdds", 0.5));
}

TEST(SweepPlanTest, TakesThePapersSettingsByTheRateAndFitsThemIntoShortTrainings) {
  SweepFlags flags;
  flags.rates = {0.3, 0.5, 0.7, 0.8, 0.9, 0.85};
  const auto setting = [&](std::size_t rate, int epochs) {
    return to_string(tdds_setting(flags, rate, epochs));
  };
  EXPECT_EQ(setting(0, 200), "T=90 J=10");
  EXPECT_EQ(setting(1, 200), "T=70 J=10");
  EXPECT_EQ(setting(2, 200), "T=60 J=20");
  EXPECT_EQ(setting(3, 200), "T=20 J=10");
  EXPECT_EQ(setting(4, 200), "T=10 J=5");
  EXPECT_EQ(setting(0, 8), "T=8 J=4");
  flags.trajectory_lens = {6};
  flags.window_sizes = {3, 4, 5, 6, 3, 3};
  EXPECT_EQ(setting(2, 200), "T=6 J=5");
}

TEST(SweepPlanTest, NamesEveryMethodOnce) {
  const std::vector<SweepMethod> methods = parse_methods({"all", "random", "every", "el2n+ccs"});
  EXPECT_EQ(methods.front().name, "random");
  EXPECT_EQ(methods.back().selection, "ccs");
  EXPECT_EQ(std::count_if(methods.begin(), methods.end(), [](const auto& m) { return m.name == "random"; }),
            1);
  EXPECT_GE(methods.size(), 13u);
}

}  // namespace
}  // namespace tdds
