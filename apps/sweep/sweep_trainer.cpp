#include "apps/sweep/sweep_trainer.h"

#include <fmt/format.h>

#include <chrono>

#include "apps/cli/output.h"
#include "apps/train/run_folder.h"

namespace tdds {

using Clock = std::chrono::steady_clock;

SweepTrainer::SweepTrainer(const ProgramInfo& program, const TrainConfig& config, const FlagTexts& texts,
                           std::filesystem::path folder, TrainingSetup& setup,
                           const InterruptRequest& interrupt, bool alone)
    : program_(program),
      config_(config),
      texts_(texts),
      folder_(std::move(folder)),
      setup_(setup),
      interrupt_(interrupt),
      alone_(alone) {}

double SweepTrainer::work_of(std::int64_t images, std::int32_t epochs) const {
  return epochs * (static_cast<double>(images) + static_cast<double>(setup_.data().test.count()) / 3);
}

ScoringRecord SweepTrainer::train_all(std::uint64_t seed, std::int64_t steps, const std::string& position) {
  const std::string folder = scoring_folder(seed);
  TrainConfig config = config_;
  config.dynamics = true;
  config.train.seed = seed;
  const RunResult result =
      train_in(folder, config, nullptr, position,
               fmt::format("all samples ({} steps of {}), seed {}", steps, config.train.batch, seed));
  return {seed, folder, 100 * result.best_accuracy, 100 * result.last_accuracy};
}

RunRecord SweepTrainer::train_subset(const SweepRun& run, const SubsetChoice& choice,
                                     const std::string& position) {
  TrainConfig config = config_;
  config.dynamics_features = false;
  config.train.epochs = run.epochs;
  config.train.batch = run.batch;
  config.train.seed = run.seed;
  const RunResult result =
      train_in(run.folder, config, &choice, position,
               fmt::format("{} at {} ({} kept, {} steps of {}), seed {}", run.method.name, run.rate, run.kept,
                           run.steps, run.batch, run.seed));
  return {.method = run.method.name,
          .rate = run.rate,
          .seed = run.seed,
          .kept = run.kept,
          .epochs = run.epochs,
          .steps = result.steps,
          .best_accuracy = 100 * result.best_accuracy,
          .last_accuracy = 100 * result.last_accuracy,
          .folder = run.folder,
          .selection = run.folder + "/ids.txt"};
}

RunResult SweepTrainer::train_in(const std::string& folder, TrainConfig config, const SubsetChoice* subset,
                                 const std::string& position, const std::string& what) {
  heed(position);
  config.save_path = (folder_ / folder).string();
  config.resume = true;
  const bool resumed = std::filesystem::exists(folder_ / folder / kCheckpointFile);
  const std::string left = left_text();
  const Clock::time_point start = Clock::now();
  try {
    const RunResult result =
        train(setup_, {.program = program_,
                       .flags = texts_,
                       .config = config,
                       .interrupt = interrupt_,
                       .subset = subset,
                       .label = fmt::format("{}{}, ", position, left.empty() ? "" : ", " + left),
                       .quiet = true});
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const std::int64_t images =
        subset ? static_cast<std::int64_t>(subset->ids.size()) : setup_.data().train.count();
    const double work = work_of(images, config.train.epochs);
    // A resumed run says nothing about the pace, because only a part of it ran here.
    if (resumed)
      pace_.expect(-work);
    else
      pace_.done(work, seconds);
    const std::string now_left = left_text();
    print_out("{}: {}: best {:.2f} %, last {:.2f} % ({:.1f} s{})\n", position, what,
              100 * result.best_accuracy, 100 * result.last_accuracy, seconds,
              now_left.empty() ? "" : "; " + now_left);
    flush_output();
    return result;
  } catch (const Interrupted&) {
    stop(position);
  }
}

void SweepTrainer::heed(const std::string& position) const {
  if (interrupt_.requested()) stop(position);
}

void SweepTrainer::stop(const std::string& position) const {
  throw Interrupted(fmt::format("stopped in {}; run the same command again{} to continue", position,
                                config_.overwrite ? " without --overwrite" : ""),
                    interrupt_.exit_code());
}

}  // namespace tdds
