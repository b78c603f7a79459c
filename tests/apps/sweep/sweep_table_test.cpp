#include "apps/sweep_table.h"

#include <gtest/gtest.h>
#include <algorithm>

#include "apps/published.h"
#include "apps/sweep_plan.h"

namespace tdds {
namespace {

SweepRecord record_of(const std::string& dataset) {
  SweepRecord record{.dataset = dataset,
                     .fingerprint = "f",
                     .arch = "resnet18",
                     .width = 0.25,
                     .epochs = 8,
                     .budget = "epochs",
                     .samples = 100,
                     .settings = {}};
  record.scoring_runs = {{1, "seed1/all", 90, 88}, {2, "seed2/all", 92, 90}};
  const auto run = [&](const char* method, double rate, std::uint64_t seed, double best, double last) {
    record.runs.push_back({method, rate, seed, rate == 0.3 ? 70 : 10, 8, 8, best, last, "f", "s"});
  };
  run("tdds", 0.3, 1, 80, 79);
  run("tdds", 0.3, 2, 83, 79);
  run("tdds", 0.9, 1, 50, 40);
  run("random", 0.3, 1, 70, 69);
  return record;
}

TEST(SweepTable, GivesMeanAndSampleDeviationOfBestAndLast) {
  const std::string table = sweep_markdown(record_of("shapes"));
  EXPECT_NE(table.find("| method      | 30 % pruned, 70 kept        | 90 % pruned, 10 kept        |\n"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("| all samples | 91.00 ± 1.41 / 89.00 ± 1.41 | 91.00 ± 1.41 / 89.00 ± 1.41 |\n"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("| tdds        | 81.50 ± 2.12 / 79.00 ± 0.00 | 50.00 / 40.00               |\n"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("| random      | 70.00 / 69.00               |                             |\n"),
            std::string::npos)
      << table;
  EXPECT_EQ(table.find("Published"), std::string::npos) << "the paper has no shapes";
}

TEST(SweepTable, SetsThePublishedFiguresBesideOursAndSaysHowSureTheyAre) {
  const std::string table = sweep_markdown(record_of("cifar100"));
  EXPECT_NE(table.find("77.56 ± 0.06 (confirmed)"), std::string::npos) << table;
  EXPECT_NE(table.find("75.53 ± 0.04 (recalled)"), std::string::npos) << table;
  const std::string csv = sweep_csv(record_of("cifar100"));
  EXPECT_NE(csv.find("\nall,0,100,2,91,1.41421356237309"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\ntdds,0.9,10,1,50,,40,,54.51,0.22,confirmed\n"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\nrandom,0.9,10,0,,,,,46.68,1.07,confirmed\n"), std::string::npos) << csv;
}

TEST(SweepTable, StandsBeforeTheFirstSubsetIsTrained) {
  SweepRecord record = record_of("shapes");
  record.runs.clear();
  EXPECT_NE(sweep_markdown(record).find("| all samples | 91.00 ± 1.41 / 89.00 ± 1.41 |"), std::string::npos);
}

TEST(Published, HasNothingForOtherNetworksAndRates) {
  EXPECT_FALSE(published_accuracy("cifar100", "resnet34", "tdds", 0.3));
  EXPECT_FALSE(published_accuracy("cifar100", "resnet18", "tdds", 0.4));
  EXPECT_FALSE(published_accuracy("shapes", "resnet18", "all", 0));
  EXPECT_TRUE(published_accuracy("cifar100", "resnet18", "all", 0)->confirmed);
  EXPECT_FALSE(published_accuracy("cifar10", "resnet18", "all", 0)->confirmed);
}

TEST(SweepPlan, TakesThePapersSettingsByTheRateAndFitsThemIntoShortTrainings) {
  SweepFlags flags;
  flags.rates = {0.3, 0.5, 0.7, 0.8, 0.9, 0.85};
  const auto setting = [&](std::size_t rate, int epochs) {
    return text_of(tdds_setting(flags, rate, epochs));
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

TEST(SweepPlan, NamesEveryMethodOnce) {
  const std::vector<SweepMethod> methods = parse_methods({"all", "random", "every", "el2n+ccs"});
  EXPECT_EQ(methods.front().name, "random");
  EXPECT_EQ(methods.back().selection, "ccs");
  EXPECT_EQ(std::count_if(methods.begin(), methods.end(), [](const auto& m) { return m.name == "random"; }),
            1);
  EXPECT_GE(methods.size(), 13u);
}

}  // namespace
}  // namespace tdds
