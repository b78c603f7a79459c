// tdds-train-subset: trains on the samples that remain after the lowest scores are pruned.

#include <algorithm>

#include "apps/score/score_provenance.h"
#include "apps/train/recorded_flags.h"
#include "apps/train/training_program.h"
#include "engine/io/npy.h"
#include "engine/schedule.h"
#include "kernels/runtime/thread_waiting.h"
#include "tdds/selection/selection.h"

namespace {

using namespace tdds;

struct SubsetFlags {
  double subset_rate = 0.9;
  std::string mask_path, score_path;
  bool no_score_weighting = false, random_subset = false;
};

FlagTable subset_flags(SubsetFlags& flags) {
  FlagTable table{
      {"subset_rate", &flags.subset_rate,
       "Pruning rate: the share of samples left out. Those with the lowest scores are left out; 0.9 keeps "
       "10 %."},
      {"mask_path", &flags.mask_path,
       "The mask, data_mask_win<J>_ep<T>.npy. tdds-score or the official code wrote it."},
      {"score_path", &flags.score_path, "Its scores, score_win<J>_ep<T>.npy."},
      {"no_score_weighting", &flags.no_score_weighting,
       "Do not weight the loss by the scores. The official code multiplies a batch's loss by the mean of its "
       "samples' scores, scaled to 0..1. With this flag --score_path is not needed."},
      {"random_subset", &flags.random_subset,
       "Keep a random subset of the same size: the baseline. The loss is not weighted, and no mask is "
       "read."}};
  return grouped("Subset", std::move(table));
}

std::vector<std::int32_t> rows_of(std::vector<std::int64_t> ids) {
  std::sort(ids.begin(), ids.end());
  return {ids.begin(), ids.end()};
}

std::string class_note(const std::vector<std::int32_t>& rows, const Dataset& data) {
  const std::vector<std::int64_t> ids(rows.begin(), rows.end());
  std::vector<std::int64_t> counts = count_by_class(ids, data.train.labels, data.classes);
  std::sort(counts.begin(), counts.end());
  return fmt::format("kept by class: minimum {}, median {}, maximum {}", counts.front(),
                     counts[counts.size() / 2], counts.back());
}

void keep_highest(SubsetChoice& choice, const SubsetFlags& flags, const Dataset& data) {
  const std::int64_t n = data.train.count();
  check_usage(!flags.mask_path.empty(), "--mask_path is missing: give the mask that tdds-score wrote");
  check_usage(flags.no_score_weighting || !flags.score_path.empty(),
              "--score_path is missing: give the scores that tdds-score wrote, or --no_score_weighting");
  Ranking ranking;
  if (flags.no_score_weighting) {
    ranking.ids = read_npy_i64(flags.mask_path);
    check_permutation(ranking.ids, flags.mask_path);
  } else {
    ranking = read_ranking({flags.mask_path, flags.score_path});
  }
  const std::string provenance = check_scores_are_of(data, flags.mask_path, flags.score_path);
  if (!provenance.empty()) choice.notes.push_back(provenance);
  check(static_cast<std::int64_t>(ranking.ids.size()) == n,
        "{} orders {} samples, and the training set has {}; it was made for other data, or with another "
        "--max_train_samples or --val_fraction",
        flags.mask_path, ranking.ids.size(), n);
  choice.ids = rows_of(kept_ids(ranking.ids, flags.subset_rate));
  if (flags.no_score_weighting) return;
  choice.weights = subset_weights(ranking);
  if (ranking.scores.front() == ranking.scores.back())
    choice.notes.push_back("warning: all scores are equal, so the loss is not weighted");
  double sum = 0;
  for (std::int32_t row : choice.ids) sum += choice.weights[row];
  choice.notes.push_back(
      fmt::format("the loss is weighted by the scores: the mean weight is {:.2f}, which acts as a learning "
                  "rate lower by this factor; --no_score_weighting turns it off",
                  sum / static_cast<double>(choice.ids.size())));
}

SubsetChoice choose_subset(const SubsetFlags& flags, const TrainConfig& config, const Dataset& data) {
  const std::int64_t n = data.train.count();
  const std::int64_t kept = n - pruned_count(flags.subset_rate, n);
  SubsetChoice choice;
  choice.notes.push_back(fmt::format("pruning rate {}: {} of {} samples are kept, {}", flags.subset_rate,
                                     kept, n,
                                     flags.random_subset ? "at random" : "those with the highest scores"));
  if (flags.random_subset)
    choice.ids = rows_of(random_subset(n, kept, config.train.seed));
  else
    keep_highest(choice, flags, data);
  choice.notes.push_back(class_note(choice.ids, data));
  choice.t_max = subset_t_max(config.train.epochs, n, flags.subset_rate, config.train.batch);
  return choice;
}

}  // namespace

int main(int argc, char** argv) {
  tdds::wait_briefly_then_sleep(argv);
  TrainConfig config;
  config.train.batch = kOfficialSubsetBatch;
  config.save_path = "./checkpoint/pruned-dataset";
  SubsetFlags subset;
  FlagTable flags = subset_flags(subset);
  append(flags, training_flags(config));
  append(flags, planning_flags(config));
  const ProgramInfo program{
      "tdds-train-subset",
      "Trains a ResNet on what is left after pruning. --subset_rate is the share that is left out, the "
      "lowest scores first. A smaller --batch_size helps at high rates: 64 at 0.8, 32 at 0.9.",
      R"(  tdds-train-subset --dataset cifar100 --data_path ./data --subset_rate 0.3 \
      --mask_path ./checkpoint/masks/data_mask_win10_ep90.npy \
      --score_path ./checkpoint/masks/score_win10_ep90.npy
  tdds-train-subset --dataset shapes --width 0.25 --epochs 10 \
      --subset_rate 0.5 --random_subset --save_path ./runs/random
)"};
  EarlierFlags earlier{.find = flags_of_run};
  return run_program(
      argc, argv, program, flags,
      [&] {
        return run_training(program, config, flags, earlier,
                            [&](const Dataset& data) { return choose_subset(subset, config, data); });
      },
      &earlier);
}
