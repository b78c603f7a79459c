#include "apps/sweep/sweep_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "apps/cli/output.h"
#include "apps/sweep/sweep_book.h"
#include "apps/sweep/sweep_merge.h"
#include "apps/sweep/sweep_plan.h"
#include "apps/sweep/sweep_selection.h"
#include "apps/sweep/sweep_table.h"
#include "apps/sweep/sweep_trainer.h"
#include "apps/train/ground_truth.h"
#include "apps/train/recorded_flags.h"
#include "apps/train/run_fingerprint.h"
#include "apps/train/run_folder.h"
#include "engine/io/files.h"

namespace tdds {
namespace {

constexpr const char* kPlansFile = "plans";
constexpr std::uint64_t kLargestPlans = std::uint64_t{1} << 26;

// The convolution plans of the sweep in the folder, which its next runs use too.
std::string kept_plans(const TrainConfig& config) {
  const std::filesystem::path path = std::filesystem::path(config.save_path) / kPlansFile;
  return config.overwrite || !std::filesystem::exists(path) ? "" : read_file(path, kLargestPlans);
}

class Sweep {
 public:
  // config: with dynamics_features if they are recorded. shard: the part of this process; none: all runs.
  Sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainConfig& config,
        const FlagTable& table, const EarlierFlags& earlier, std::optional<Shard> shard)
      : program_(program),
        flags_(flags),
        config_(config),
        texts_(texts_of(table)),
        folder_(config.save_path, flags.keep_models),
        shard_(shard),
        book_(folder_, shard) {
    Dataset data = load_dataset(dataset_options(config));
    // Until the plans are in the folder, so that all shards have the same.
    const auto lock = shard_ ? wait_for_lock(folder_ / (std::string(kPlansFile) + ".lock"),
                                             "chooses the convolution plans of the sweep")
                             : nullptr;
    setup_ =
        std::make_unique<TrainingSetup>(config, choose_device(config, kept_plans(config)), std::move(data));
    trainer_.emplace(program, config, texts_, folder_.path(), *setup_, interrupt_, !shard_);
    runs_ = plan_sweep(flags, config, setup_->data());
    setup_->plan(samples(), config.train.batch);
    for (const SweepRun& run : runs_) setup_->plan(run.kept, run.batch);
    const FlagTexts made = with_choices(texts_, made_choices(config, *setup_));
    save_config(config.files.save_config, program.name, table, made);
    if (!earlier.taken.empty())
      notes_.push_back(taken_note(earlier, "the sweep in " + folder_.path().string()));
    start_or_continue(made, earlier.defaults);
  }

  void warn(const std::string& warning) { notes_.push_back("warning: " + warning); }

  int run() {
    introduce();
    if (shard_) return run_shard();
    for (const std::uint64_t seed : flags_.seeds) {
      train_on_all(seed);
      train_on_subsets(seed);
    }
    book_.write();
    print_out("\n{}\nThe tables are in {}\n", sweep_markdown(known()), (folder_ / "table.md").string());
    return 0;
  }

 private:
  // A training of the sweep: on all samples if `run` is null.
  struct Task {
    std::uint64_t seed;
    const SweepRun* run;
  };

  std::int64_t samples() const { return setup_->data().train.count(); }
  std::size_t total() const { return flags_.seeds.size() + runs_.size(); }
  const SweepRecord& known() const { return book_.known(); }
  std::size_t recorded() const { return known().scoring_runs.size() + known().runs.size(); }
  std::string position() const { return fmt::format("run {} of {}", recorded() + 1, total()); }

  void start_or_continue(const FlagTexts& made, const FlagTexts& defaults) {
    const SweepRecord now{.dataset = setup_->data().name,
                          .arch = config_.arch,
                          .images = data_fingerprint(config_, setup_->data()),
                          .width = config_.width,
                          .epochs = config_.train.epochs,
                          .budget = to_string(flags_.budget),
                          .samples = samples(),
                          .settings = recorded_settings(made, flags_.methods, config_.dynamics_features)};
    for (const std::string& note : book_.start(
             now, {.flags = defaults, .automatic = automatic_choices(config_, *setup_)}, config_.overwrite))
      notes_.push_back("note: " + note);
    SweepRecord& own = book_.own();
    for (auto* planted : {&own.wrong_labels, &own.corrupted, &own.near_duplicates})
      std::erase_if(*planted, [&](const PlantedRecord& record) { return !is_scored(record.method); });
    if (config_.overwrite) {
      for (const std::uint64_t seed : flags_.seeds) folder_.forget(scoring_folder(seed));
      for (const SweepRun& run : runs_) folder_.forget(run.folder);
    }
    check_new_methods();
    for (const std::uint64_t seed : flags_.seeds)
      if (!known().scoring_run(seed)) trainer_->expect(samples(), config_.train.epochs);
    for (const SweepRun& run : runs_)
      if (!is_done(run)) trainer_->expect(run.kept, run.epochs);
    if (const std::string plans = setup_->device().pinned_plans(); !plans.empty())
      write_file_atomically(folder_ / kPlansFile, plans);
    book_.write();
  }

  // Called before the record names them: a method whose scores cannot be computed from the finished trainings
  // must not become a part of the sweep.
  void check_new_methods() {
    for (const ScoringRecord& done : known().scoring_runs) {
      std::optional<SweepSelection> selection;
      for (const SweepRun& run : runs_) {
        if (run.seed != done.seed || has_runs(run.method.name)) continue;
        if (!selection)
          selection.emplace(folder_.path(), run.seed, flags_, config_.train.epochs, setup_->data(),
                            setup_->device());
        selection->check_possible(run);
      }
    }
  }

  bool has_runs(const std::string& method) const {
    return std::any_of(known().runs.begin(), known().runs.end(),
                       [&](const RunRecord& run) { return run.method == method; });
  }

  // planted: the name of a score, "tdds" or "tdds T=30 J=10".
  bool is_scored(const std::string& planted) const {
    return std::any_of(runs_.begin(), runs_.end(), [&](const SweepRun& run) {
      const std::string score = run.method.score->name;
      return planted == score || planted.starts_with(score + " ");
    });
  }

  bool is_done(const SweepRun& run) const { return known().run(run.method.name, run.rate, run.seed); }
  bool is_done(const Task& task) const {
    return task.run ? is_done(*task.run) : known().scoring_run(task.seed) != nullptr;
  }

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
    print_out("all samples: {} steps of {} images\n", known().steps(0), config_.train.batch);
    for (const SweepRun& run : runs_) {
      if (run.seed != runs_[0].seed || run.method.name != runs_[0].method.name) continue;
      print_out("rate {}: {} kept, {} steps of {} images\n", run.rate, run.kept, run.steps, run.batch);
      if (const std::string warning = few_steps_warning(run.steps); !warning.empty())
        print_out("{}\n", warning);
    }
  }

  void introduce() const {
    print_out("{}: {} runs, {} of them on all {} samples; {} are done\n", known().dataset, total(),
              flags_.seeds.size(), samples(), recorded());
    for (const std::string& note : notes_) print_out("{}\n", note);
    for (const std::string& note : setup_->data().notes) print_out("{}\n", note);
    for (const std::string& note : setup_->device().notes()) print_out("note: {}\n", note);
    print_steps();
    print_trajectories();
    flush_output();
  }

  void train_on_all(std::uint64_t seed) {
    if (known().scoring_run(seed)) return folder_.tidy_recorded(scoring_folder(seed));
    const auto lock = lock_run_folder(folder_ / scoring_folder(seed));
    train_locked({seed, nullptr});
  }

  void train_on_subsets(std::uint64_t seed) {
    for (const SweepRun& run : runs_)
      if (run.seed == seed && is_done(run)) folder_.tidy_recorded(run.folder);
    for (const SweepRun& run : runs_) {
      if (run.seed != seed || is_done(run)) continue;
      select(seed);
      const auto lock = lock_run_folder(folder_ / run.folder);
      train_locked({seed, &run});
    }
  }

  // Scores the samples by the seed's training on all of them, unless that was done last.
  void select(std::uint64_t seed) {
    if (selection_ && selected_ == seed) return;
    // Shards write the same files.
    const auto lock = shard_ ? wait_for_lock(folder_ / fmt::format("seed{}", seed) / ".scores.lock",
                                             fmt::format("computes the scores of seed {}", seed))
                             : nullptr;
    selection_.emplace(folder_.path(), seed, flags_, config_.train.epochs, setup_->data(), setup_->device());
    selected_ = seed;
    for (const SweepRun& run : runs_)
      if (run.seed == seed) selection_->score(run);
    record_planted(seed, *selection_);
  }

  // Records how many planted samples are at the ends of every order.
  void record_planted(std::uint64_t seed, const SweepSelection& selection) {
    if (!setup_->data().truth) return;
    const GroundTruth& truth = *setup_->data().truth;
    std::vector<std::uint8_t> corrupted;
    for (const std::uint8_t kind : truth.corruption) corrupted.push_back(kind != 0 ? 1 : 0);
    replace_records(book_.own().wrong_labels, seed, selection.at_ends(truth.wrong_label));
    replace_records(book_.own().corrupted, seed, selection.at_ends(corrupted));
    replace_records(book_.own().near_duplicates, seed, selection.at_ends(near_duplicates(truth)));
  }

  static void replace_records(std::vector<PlantedRecord>& records, std::uint64_t seed,
                              std::vector<PlantedRecord> now) {
    std::erase_if(records, [&](const PlantedRecord& record) { return record.seed == seed; });
    for (PlantedRecord& record : now) records.push_back(std::move(record));
  }

  static std::string folder_of(const Task& task) {
    return task.run ? task.run->folder : scoring_folder(task.seed);
  }

  // Trains, records and tidies. The run's folder is locked.
  void train_locked(const Task& task) {
    if (task.run)
      book_.own().runs.push_back(
          trainer_->train_subset(*task.run, selection_->choose(*task.run), position()));
    else
      book_.own().scoring_runs.push_back(trainer_->train_all(task.seed, known().steps(0), position()));
    book_.write();
    folder_.tidy(folder_of(task));
  }

  // The trainings on all samples come first, because the others need them. Each shard begins with another
  // seed.
  std::vector<Task> tasks() const {
    std::vector<std::uint64_t> seeds = flags_.seeds;
    const auto first = static_cast<std::ptrdiff_t>(seeds.size()) * shard_->index / shard_->count;
    std::rotate(seeds.begin(), seeds.begin() + first, seeds.end());
    std::vector<Task> tasks;
    tasks.reserve(total());
    for (const std::uint64_t seed : seeds) tasks.push_back({seed, nullptr});
    for (const std::uint64_t seed : seeds)
      for (const SweepRun& run : runs_)
        if (run.seed == seed) tasks.push_back({seed, &run});
    return tasks;
  }

  // Takes the first training that nobody has done or is doing. Returns whether there was one.
  bool take_one(const std::vector<Task>& tasks) {
    for (const Task& task : tasks) {
      if (is_done(task) || (task.run && !known().scoring_run(task.seed))) continue;
      const auto lock = try_run_folder(folder_ / folder_of(task));
      if (!lock->held()) {
        if (busy_.empty()) busy_ = fmt::format("{}, which trains {}", lock->holder(), folder_of(task));
        continue;
      }
      book_.refresh();  // it may have been done until the lock was free
      if (is_done(task)) continue;
      if (task.run) select(task.seed);
      train_locked(task);
      return true;
    }
    return false;
  }

  // Longer and longer, up to two seconds, because all shards ask one file server.
  void pause(int number) const {
    for (int i = 0; i < std::min(number, 20); ++i) {
      trainer_->heed(position());
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  int run_shard() {
    const std::vector<Task> all = tasks();
    for (const Task& task : all)
      if (is_done(task)) folder_.tidy_recorded(folder_of(task));
    std::string told;
    for (int pauses = 0;;) {
      book_.refresh();
      const bool all_scored = known().scoring_runs.size() == flags_.seeds.size();
      busy_.clear();
      if (take_one(all)) {
        pauses = 0;
        continue;
      }
      if (all_scored) break;
      if (busy_ != told && !busy_.empty()) print_out("waiting for {}\n", busy_);
      told = busy_;
      flush_output();
      pause(++pauses);
    }
    print_out(
        "shard {}/{}: {} of {} runs are done{}; when all are, join the records by: {} --merge --save_path "
        "{}\n",
        shard_->index, shard_->count, recorded(), total(),
        busy_.empty() ? "" : ", and other shards are at work on the rest", program_.name,
        folder_.path().string());
    return 0;
  }

  const ProgramInfo& program_;
  const SweepFlags& flags_;
  const TrainConfig& config_;
  const FlagTexts texts_;
  const SweepFolder folder_;
  const std::optional<Shard> shard_;
  InterruptRequest interrupt_;
  std::unique_ptr<TrainingSetup> setup_;
  std::optional<SweepTrainer> trainer_;
  std::vector<SweepRun> runs_;
  SweepBook book_;
  std::optional<SweepSelection> selection_;
  std::uint64_t selected_ = 0;  // its seed
  std::string busy_;            // who trains what a shard cannot take
  std::vector<std::string> notes_;
};

// The sweep is shared, and this shard is this process alone.
std::unique_ptr<FileLock> lock_shard(const std::filesystem::path& folder, const Shard& shard,
                                     const FileLock& sweep) {
  check(sweep.warning().empty(), "{}; shards need locks: choose another --save_path, or leave --shard out",
        sweep.warning());
  return lock_or_refuse(folder / fmt::format(".shard{}.lock", shard.index),
                        fmt::format("shard {} of the sweep in {}", shard.index, folder.string()), "--shard");
}

}  // namespace

int run_sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainConfig& config,
              const FlagTable& table, const EarlierFlags& earlier) {
  check_sweep(flags, config);
  if (flags.merge) return merge_sweep(flags, config, texts_of(table), earlier);
  std::optional<Shard> shard;
  if (!flags.shard.empty()) shard = parse_shard(flags.shard);
  check_usage(!shard || !config.overwrite,
              "--overwrite would remove what other shards have done; choose another --save_path, or remove "
              "the folder before the shards start");
  TrainConfig recorded = config;
  recorded.dynamics_features |= need_features(parse_methods(flags.methods));
  make_folder(config.save_path);
  const std::filesystem::path folder = config.save_path;
  const auto lock = lock_or_refuse(folder / kSweepLock, fmt::format("the sweep in {}", config.save_path),
                                   "--save_path", shard ? LockMode::kShared : LockMode::kExclusive);
  const auto own_lock = shard ? lock_shard(folder, *shard, *lock) : nullptr;
  const std::vector<std::filesystem::path> records = record_files(folder);
  if (!shard && !config.overwrite && !records.empty())
    check(records.front().filename() == kSweepFile,
          "{} is the record of a shard: give --shard to continue that sweep, --merge to join its records, or "
          "choose another --save_path",
          records.front().string());
  if (!config.overwrite && !records.empty()) {
    // A sweep without them is of a version that timed plans only with --cudnn_autotune.
    if (!std::filesystem::exists(folder / kPlansFile)) recorded.no_cudnn_autotune |= !config.cudnn_autotune;
    // Every seed of a sweep records the same fields.
    recorded.dynamics_features |= records_features(read_sweep(records.front()));
  }
  Sweep sweep(program, flags, recorded, table, earlier, shard);
  if (!lock->warning().empty()) sweep.warn(lock->warning());
  return sweep.run();
}

}  // namespace tdds
