#include "apps/sweep/sweep_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "apps/cli/output.h"
#include "apps/score/image_order.h"
#include "apps/sweep/pace.h"
#include "apps/sweep/sweep_plan.h"
#include "apps/sweep/sweep_record.h"
#include "apps/sweep/sweep_selection.h"
#include "apps/sweep/sweep_table.h"
#include "apps/train/ground_truth.h"
#include "apps/train/recorded_flags.h"
#include "apps/train/run_fingerprint.h"
#include "apps/train/run_folder.h"
#include "apps/train/training_run.h"
#include "engine/io/files.h"

namespace tdds {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kPlansFile = "plans";
constexpr std::uint64_t kLargestPlans = std::uint64_t{1} << 26;

// The settings for the record: without the folder, which may be moved, with every method by its own name, and
// with the resolved dynamics_features.
FlagTexts settings_of(FlagTexts texts, const std::vector<std::string>& methods, bool dynamics_features) {
  std::erase_if(texts, [](const auto& text) { return text.first == "save_path"; });
  std::vector<std::string> names;
  for (const SweepMethod& method : parse_methods(methods)) names.push_back(method.name);
  return with_choices(std::move(texts), {{"methods", join_list(names)},
                                         {"dynamics_features", dynamics_features ? "true" : "false"}});
}

std::filesystem::path record_in(const std::string& folder) {
  return std::filesystem::path(folder) / kSweepFile;
}

// The record of the sweep to be overwritten, or an empty one if it cannot be read.
SweepRecord overwritten_record(const std::filesystem::path& path) {
  try {
    return std::filesystem::exists(path) ? read_sweep(path) : SweepRecord{};
  } catch (const Error&) {
    return {};
  }
}

// The convolution plans of the sweep in the folder, which its next runs use too.
std::string kept_plans(const TrainConfig& config) {
  const std::filesystem::path path = std::filesystem::path(config.save_path) / kPlansFile;
  return config.overwrite || !std::filesystem::exists(path) ? "" : read_file(path, kLargestPlans);
}

class Sweep {
 public:
  // config: with dynamics_features if they are recorded. before: the sweep to continue, if there is one.
  Sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainConfig& config,
        const FlagTexts& texts, const EarlierFlags& earlier, const FileLock& lock,
        std::optional<SweepRecord> before)
      : program_(program),
        flags_(flags),
        config_(config),
        texts_(texts),
        folder_(config.save_path),
        setup_(config, choose_device(config, kept_plans(config)), load_dataset(dataset_options(config))),
        runs_(plan_sweep(flags, config, setup_.data())) {
    setup_.plan(samples(), config.train.batch);
    for (const SweepRun& run : runs_) setup_.plan(run.kept, run.batch);
    if (!lock.warning().empty()) notes_.push_back("warning: " + lock.warning());
    if (!earlier.taken.empty()) notes_.push_back(taken_note(earlier, "the sweep in " + folder_.string()));
    start_or_continue(std::move(before), earlier.defaults);
  }

  int run() {
    introduce();
    for (const std::uint64_t seed : flags_.seeds) {
      train_on_all(seed);
      train_on_subsets(seed);
    }
    write();
    print_out("\n{}\nThe tables are in {}\n", sweep_markdown(record_), (folder_ / "table.md").string());
    return 0;
  }

 private:
  std::int64_t samples() const { return setup_.data().train.count(); }
  std::filesystem::path record_path() const { return record_in(config_.save_path); }
  std::size_t total() const { return flags_.seeds.size() + runs_.size(); }
  std::size_t recorded() const { return record_.scoring_runs.size() + record_.runs.size(); }

  double work_of(std::int64_t images, std::int32_t epochs) const {
    return epochs * (static_cast<double>(images) + static_cast<double>(setup_.data().test.count()) / 3);
  }

  void start_or_continue(std::optional<SweepRecord> before, const FlagTexts& defaults) {
    record_ = {.dataset = setup_.data().name,
               .arch = config_.arch,
               .images = data_fingerprint(config_, setup_.data()),
               .width = config_.width,
               .epochs = config_.train.epochs,
               .budget = to_string(flags_.budget),
               .samples = samples(),
               .settings = settings_of(with_choices(texts_, made_choices(config_, setup_)), flags_.methods,
                                       config_.dynamics_features)};
    if (config_.overwrite) {
      remove_overwritten();
    } else if (before) {
      for (const ScoringRecord& run : before->scoring_runs)
        check_image_order(folder_ / run.folder / "manifest.tsv");
      for (const std::string& note : check_continues(
               *before, record_, {.flags = defaults, .automatic = automatic_choices(config_, setup_)},
               record_path()))
        notes_.push_back("note: " + note);
      record_.scoring_runs = std::move(before->scoring_runs);
      record_.runs = std::move(before->runs);
      record_.wrong_labels = std::move(before->wrong_labels);
      record_.corrupted = std::move(before->corrupted);
      record_.near_duplicates = std::move(before->near_duplicates);
      for (auto* planted : {&record_.wrong_labels, &record_.corrupted, &record_.near_duplicates})
        std::erase_if(*planted, [&](const PlantedRecord& record) { return !is_scored(record.method); });
      check_new_methods();
    }
    for (const std::uint64_t seed : flags_.seeds)
      if (!record_.scoring_run(seed)) pace_.expect(work_of(samples(), config_.train.epochs));
    for (const SweepRun& run : runs_)
      if (!is_done(run)) pace_.expect(work_of(run.kept, run.epochs));
    if (const std::string plans = setup_.device().pinned_plans(); !plans.empty())
      write_file_atomically(folder_ / kPlansFile, plans);
    write();
  }

  // Removes everything that the earlier record names, and nothing else. The runs leave the record first, so
  // that they do not count as done once their folders are gone.
  void remove_overwritten() {
    SweepRecord before = overwritten_record(record_path());
    std::vector<std::string> folders = folders_of(before);
    std::erase_if(folders, [&](const auto& folder) { return !std::filesystem::exists(folder_ / folder); });
    // Checks, before anything is removed, that none of them is in use. One at a time, because a process has
    // few descriptors.
    for (const std::string& folder : folders) lock_run_folder(folder_ / folder);
    if (!folders.empty()) {
      before.scoring_runs.clear();
      before.runs.clear();
      write_sweep(record_path(), before);
    }
    for (const std::string& folder : folders) {
      const auto lock = lock_run_folder(folder_ / folder);  // its file is removed with the rest
      std::filesystem::remove_all(folder_ / folder);
    }
    std::error_code not_empty;  // the folder of a seed may hold other files
    for (const std::string& folder : folders)
      std::filesystem::remove((folder_ / folder).parent_path(), not_empty);
    for (const std::uint64_t seed : flags_.seeds) forget(scoring_folder(seed));
    for (const SweepRun& run : runs_) forget(run.folder);
  }

  // Called before the record names them: a method whose scores cannot be computed from the finished trainings
  // must not become a part of the sweep.
  void check_new_methods() {
    for (const ScoringRecord& done : record_.scoring_runs) {
      std::optional<SweepSelection> selection;
      for (const SweepRun& run : runs_) {
        if (run.seed != done.seed || has_runs(run.method.name)) continue;
        if (!selection)
          selection.emplace(folder_, run.seed, flags_, config_.train.epochs, setup_.data(), setup_.device());
        selection->check_possible(run);
      }
    }
  }

  bool has_runs(const std::string& method) const {
    return std::any_of(record_.runs.begin(), record_.runs.end(),
                       [&](const RunRecord& run) { return run.method == method; });
  }

  // planted: the name of a score, "tdds" or "tdds T=30 J=10".
  bool is_scored(const std::string& planted) const {
    return std::any_of(runs_.begin(), runs_.end(), [&](const SweepRun& run) {
      const std::string score = run.method.score->name;
      return planted == score || planted.starts_with(score + " ");
    });
  }

  bool is_done(const SweepRun& run) const { return record_.run(run.method.name, run.rate, run.seed); }

  // Those of the first method with T and J; the others have the same.
  void print_trajectories() const {
    const auto first = std::find_if(runs_.begin(), runs_.end(),
                                    [](const SweepRun& run) { return has_trajectory(*run.method.score); });
    if (first == runs_.end()) return;
    std::string settings;
    for (const SweepRun& run : runs_)
      if (run.method.name == first->method.name && run.seed == first->seed)
        settings += fmt::format("{} {} at {}", settings.empty() ? "" : ",", to_string(run.setting), run.rate);
    print_out("{}:{}\n", first->method.name, settings);
  }

  // Batch sizes and numbers of steps may differ from rate to rate.
  void print_steps() const {
    print_out("all samples: {} steps of {} images\n", record_.steps(0), config_.train.batch);
    for (const SweepRun& run : runs_) {
      if (run.seed != runs_[0].seed || run.method.name != runs_[0].method.name) continue;
      print_out("rate {}: {} kept, {} steps of {} images\n", run.rate, run.kept, run.steps, run.batch);
      if (const std::string warning = few_steps_warning(run.steps); !warning.empty())
        print_out("{}\n", warning);
    }
  }

  void introduce() const {
    print_out("{}: {} runs, {} of them on all {} samples; {} are done\n", record_.dataset, total(),
              flags_.seeds.size(), samples(), recorded());
    for (const std::string& note : notes_) print_out("{}\n", note);
    for (const std::string& note : setup_.data().notes) print_out("{}\n", note);
    for (const std::string& note : setup_.device().notes()) print_out("note: {}\n", note);
    print_steps();
    print_trajectories();
    flush_output();
  }

  void train_on_all(std::uint64_t seed) {
    const std::string folder = scoring_folder(seed);
    if (!record_.scoring_run(seed)) {
      const auto lock = lock_run_folder(folder_ / folder);
      TrainConfig config = config_;
      config.dynamics = true;
      config.train.seed = seed;
      const RunResult result = train_in(
          folder, config, nullptr,
          fmt::format("all samples ({} steps of {}), seed {}", record_.steps(0), config.train.batch, seed));
      record_.scoring_runs.push_back({seed, folder, 100 * result.best_accuracy, 100 * result.last_accuracy});
      write();
      tidy(folder);
    } else {
      tidy_recorded(folder);
    }
  }

  void train_on_subsets(std::uint64_t seed) {
    std::vector<const SweepRun*> runs;
    for (const SweepRun& run : runs_)
      if (run.seed == seed) runs.push_back(&run);
    for (const SweepRun* run : runs)
      if (is_done(*run)) tidy_recorded(run->folder);
    if (!std::all_of(runs.begin(), runs.end(), [&](const SweepRun* run) { return is_done(*run); })) {
      SweepSelection selection(folder_, seed, flags_, config_.train.epochs, setup_.data(), setup_.device());
      for (const SweepRun* run : runs) selection.score(*run);
      record_planted(seed, selection);
      for (const SweepRun* run : runs)
        if (!is_done(*run)) train_on_subset(*run, selection);
    }
  }

  // Records how many planted samples are at the ends of every order.
  void record_planted(std::uint64_t seed, const SweepSelection& selection) {
    if (!setup_.data().truth) return;
    const GroundTruth& truth = *setup_.data().truth;
    std::vector<std::uint8_t> corrupted;
    for (const std::uint8_t kind : truth.corruption) corrupted.push_back(kind != 0 ? 1 : 0);
    replace_records(record_.wrong_labels, seed, selection.at_ends(truth.wrong_label));
    replace_records(record_.corrupted, seed, selection.at_ends(corrupted));
    replace_records(record_.near_duplicates, seed, selection.at_ends(near_duplicates(truth)));
  }

  static void replace_records(std::vector<PlantedRecord>& records, std::uint64_t seed,
                              std::vector<PlantedRecord> now) {
    std::erase_if(records, [&](const PlantedRecord& record) { return record.seed == seed; });
    for (PlantedRecord& record : now) records.push_back(std::move(record));
  }

  void train_on_subset(const SweepRun& run, SweepSelection& selection) {
    TrainConfig config = config_;
    config.dynamics_features = false;
    config.train.epochs = run.epochs;
    config.train.batch = run.batch;
    config.train.seed = run.seed;
    const auto lock = lock_run_folder(folder_ / run.folder);
    const SubsetChoice choice = selection.choose(run);
    const RunResult result =
        train_in(run.folder, config, &choice,
                 fmt::format("{} at {} ({} kept, {} steps of {}), seed {}", run.method.name, run.rate,
                             run.kept, run.steps, run.batch, run.seed));
    record_.runs.push_back({.method = run.method.name,
                            .rate = run.rate,
                            .seed = run.seed,
                            .kept = run.kept,
                            .epochs = run.epochs,
                            .steps = result.steps,
                            .best_accuracy = 100 * result.best_accuracy,
                            .last_accuracy = 100 * result.last_accuracy,
                            .folder = run.folder,
                            .selection = run.folder + "/ids.txt"});
    write();
    tidy(run.folder);
  }

  RunResult train_in(const std::string& folder, TrainConfig config, const SubsetChoice* subset,
                     const std::string& what) {
    const std::size_t number = recorded() + 1;
    const std::string position = fmt::format("run {} of {}", number, total());
    if (interrupt_.requested()) stop(position);
    config.save_path = (folder_ / folder).string();
    config.resume = true;
    const bool resumed = std::filesystem::exists(folder_ / folder / "checkpoint.safetensors");
    const std::string left = pace_.left_text();
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
      const double work =
          work_of(subset ? static_cast<std::int64_t>(subset->ids.size()) : samples(), config.train.epochs);
      // A resumed run says nothing about the pace, because only a part of it ran here.
      if (resumed)
        pace_.expect(-work);
      else
        pace_.done(work, seconds);
      const std::string now_left = pace_.left_text();
      print_out("{}: {}: best {:.2f} %, last {:.2f} % ({:.1f} s{})\n", position, what,
                100 * result.best_accuracy, 100 * result.last_accuracy, seconds,
                now_left.empty() ? "" : "; " + now_left);
      flush_output();
      return result;
    } catch (const Interrupted&) {
      stop(position);
    }
  }

  [[noreturn]] void stop(const std::string& position) const {
    throw Interrupted(fmt::format("stopped in {}; run the same command again{} to continue", position,
                                  config_.overwrite ? " without --overwrite" : ""),
                      interrupt_.exit_code());
  }

  void write() {
    write_sweep(record_path(), record_);
    write_file_atomically(folder_ / "table.md", sweep_markdown(record_));
    write_file_atomically(folder_ / "table.csv", sweep_csv(record_));
  }

  void forget(const std::string& folder) const {
    if (!std::filesystem::exists(folder_ / folder / kCheckpointFile)) return;
    const auto lock = lock_run_folder(folder_ / folder);
    std::filesystem::remove(folder_ / folder / kCheckpointFile);
  }

  std::vector<std::filesystem::path> needless_files(const std::string& folder) const {
    std::vector<std::filesystem::path> files{folder_ / folder / kCheckpointFile};
    if (!flags_.keep_models)
      for (const char* name : {kBestModelFile, kLastModelFile}) files.push_back(folder_ / folder / name);
    std::erase_if(files, [](const auto& file) { return !std::filesystem::exists(file); });
    return files;
  }

  // The run is recorded, and its folder is locked.
  void tidy(const std::string& folder) const {
    for (const std::filesystem::path& file : needless_files(folder)) std::filesystem::remove(file);
  }

  // The sweep may have been killed after a run was recorded and before it was tidied.
  void tidy_recorded(const std::string& folder) const {
    if (needless_files(folder).empty()) return;
    const auto lock = lock_run_folder(folder_ / folder);
    tidy(folder);
  }

  const ProgramInfo& program_;
  const SweepFlags& flags_;
  const TrainConfig& config_;
  const FlagTexts& texts_;
  std::filesystem::path folder_;
  InterruptRequest interrupt_;
  TrainingSetup setup_;
  std::vector<SweepRun> runs_;
  SweepRecord record_;
  std::vector<std::string> notes_;
  Pace pace_;
};

}  // namespace

int run_sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainConfig& config,
              const FlagTexts& texts, const EarlierFlags& earlier) {
  check_sweep(flags, config);
  TrainConfig recorded = config;
  recorded.dynamics_features |= need_features(parse_methods(flags.methods));
  make_folder(config.save_path);
  const auto lock = lock_or_refuse(std::filesystem::path(config.save_path) / ".sweep.lock",
                                   fmt::format("the sweep in {}", config.save_path), "--save_path");
  std::optional<SweepRecord> before;
  if (!config.overwrite && std::filesystem::exists(record_in(config.save_path)))
    before = read_sweep(record_in(config.save_path));
  // A sweep without them is of a version that timed plans only with --cudnn_autotune.
  if (before && !std::filesystem::exists(std::filesystem::path(config.save_path) / kPlansFile))
    recorded.no_cudnn_autotune |= !config.cudnn_autotune;
  // Every seed of a sweep records the same fields.
  if (before) recorded.dynamics_features |= records_features(*before);
  return Sweep(program, flags, recorded, texts, earlier, *lock, std::move(before)).run();
}

}  // namespace tdds
