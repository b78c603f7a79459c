#include "apps/sweep_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "apps/planted_truth.h"
#include "apps/sweep_plan.h"
#include "apps/sweep_record.h"
#include "apps/sweep_selection.h"
#include "apps/sweep_table.h"
#include "apps/training_run.h"
#include "engine/files.h"

namespace tdds {
namespace {

using Clock = std::chrono::steady_clock;

std::string clock_text(double seconds) {
  const std::int64_t whole = std::llround(seconds);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

// How long it will take, from what was done since the start: in images passed through the network, those of
// the tests, which have no backward pass, at a third.
class Pace {
 public:
  void expect(double work) { left_ += work; }
  void done(double work, double seconds) {
    left_ -= work;
    work_ += work;
    seconds_ += seconds;
  }
  // "about 0:12:30 left", or nothing yet.
  std::string left_text() const {
    return work_ > 0 && left_ > 0 ? fmt::format("about {} left", clock_text(left_ / work_ * seconds_)) : "";
  }

 private:
  double left_ = 0, work_ = 0, seconds_ = 0;
};

// For the record: without the folder, which may be moved, with every method by its own name, with features where a
// method needs them, and with lists as the command line has them, not in the brackets of a default.
ResolvedOptions settings_of(ResolvedOptions options, const std::vector<std::string>& methods,
                            bool dynamics_features) {
  std::erase_if(options, [](const auto& option) { return option.first == "save_path"; });
  std::vector<std::string> names;
  for (const SweepMethod& method : parse_methods(methods)) names.push_back(method.name);
  for (auto& [flag, value] : options) {
    if (flag == "methods")
      value = fmt::format("{}", fmt::join(names, ","));
    else if (flag == "dynamics_features")
      value = dynamics_features ? "true" : "false";
    else if (value.size() >= 2 && value.front() == '[' && value.back() == ']')
      value = value.substr(1, value.size() - 2);
  }
  return options;
}

std::filesystem::path record_in(const std::string& folder) {
  return std::filesystem::path(folder) / "sweep.json";
}

// What the sweep that is to be overwritten left, or nothing where that cannot be read.
SweepRecord overwritten_record(const std::filesystem::path& path) {
  try {
    return std::filesystem::exists(path) ? read_sweep(path) : SweepRecord{};
  } catch (const Error&) {
    return {};
  }
}

class Sweep {
 public:
  // training: with dynamics_features where they are recorded. before: the sweep to go on with, if there is one.
  Sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainingFlags& training,
        const ResolvedOptions& resolved, std::optional<SweepRecord> before)
      : program_(program),
        flags_(flags),
        training_(training),
        resolved_(resolved),
        folder_(training.save_path),
        setup_(training),
        runs_(plan_sweep(flags, training, setup_.data())) {
    setup_.plan(samples(), training.batch_size);
    for (const SweepRun& run : runs_) setup_.plan(run.kept, run.batch);
    make_folder(folder_);
    start_or_continue(std::move(before));
  }

  int run() {
    introduce();
    for (const std::uint64_t seed : flags_.seeds) {
      train_on_all(seed);
      train_on_subsets(seed);
    }
    write();
    fmt::print("\n{}\nThe tables are in {}\n", sweep_markdown(record_), (folder_ / "table.md").string());
    return 0;
  }

 private:
  std::int64_t samples() const { return setup_.data().train.count(); }
  std::filesystem::path record_path() const { return record_in(training_.save_path); }
  std::size_t total() const { return flags_.seeds.size() + runs_.size(); }
  std::size_t recorded() const { return record_.scoring_runs.size() + record_.runs.size(); }

  double work_of(std::int64_t images, std::int32_t epochs) const {
    return epochs * (static_cast<double>(images) + static_cast<double>(setup_.data().test.count()) / 3);
  }

  void start_or_continue(std::optional<SweepRecord> before) {
    record_ = {.dataset = setup_.data().name,
               .fingerprint = setup_.data().fingerprint,
               .arch = training_.arch,
               .width = training_.width,
               .epochs = training_.epochs,
               .budget = flags_.budget,
               .samples = samples(),
               .settings = settings_of(resolved_, flags_.methods, training_.dynamics_features)};
    if (training_.overwrite) {
      remove_overwritten();
    } else if (before) {
      check_continues(*before, record_, record_path());
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
      if (!record_.scoring_run(seed)) pace_.expect(work_of(samples(), training_.epochs));
    for (const SweepRun& run : runs_)
      if (!is_done(run)) pace_.expect(work_of(run.kept, run.epochs));
    write();
  }

  // Everything that the sweep before names, and nothing else. Its record forgets the runs first, so that nothing takes
  // them for done once their folders are gone.
  void remove_overwritten() {
    SweepRecord before = overwritten_record(record_path());
    const std::vector<std::string> folders = folders_of(before);
    if (!folders.empty()) {
      before.scoring_runs.clear();
      before.runs.clear();
      write_sweep(record_path(), before);
    }
    for (const std::string& folder : folders) std::filesystem::remove_all(folder_ / folder);
    std::error_code not_empty;  // that of a seed, which may hold other things
    for (const std::string& folder : folders)
      std::filesystem::remove((folder_ / folder).parent_path(), not_empty);
    for (const std::uint64_t seed : flags_.seeds) forget(scoring_folder(seed));
    for (const SweepRun& run : runs_) forget(run.folder);
  }

  // Before the record names them: a method whose scores cannot be had from the trainings that were done must not
  // become a part of the sweep.
  void check_new_methods() {
    for (const ScoringRecord& done : record_.scoring_runs) {
      std::optional<SweepSelection> selection;
      for (const SweepRun& run : runs_) {
        if (run.seed != done.seed || has_runs(run.method.name)) continue;
        if (!selection) selection.emplace(folder_, run.seed, flags_, training_.epochs, setup_.device());
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
      return planted == run.method.score || planted.starts_with(run.method.score + " ");
    });
  }

  bool is_done(const SweepRun& run) const { return record_.run(run.method.name, run.rate, run.seed); }

  void introduce() const {
    fmt::print("{}: {} runs, {} of them on all {} samples; {} are done\n", record_.dataset, total(),
               flags_.seeds.size(), samples(), recorded());
    for (const std::string& note : setup_.data().notes) fmt::print("{}\n", note);
    std::string settings;
    for (const SweepRun& run : runs_)
      if (run.method.name == "tdds" && run.seed == flags_.seeds[0])
        settings += fmt::format("{} {} at {}", settings.empty() ? "" : ",", text_of(run.setting), run.rate);
    if (!settings.empty()) fmt::print("tdds:{}\n", settings);
    std::fflush(stdout);
  }

  void train_on_all(std::uint64_t seed) {
    const std::string folder = scoring_folder(seed);
    if (!record_.scoring_run(seed)) {
      TrainingFlags flags = training_;
      flags.dynamics = true;
      flags.manual_seed = seed;
      const RunResult result = train_in(folder, flags, nullptr, fmt::format("all samples, seed {}", seed));
      record_.scoring_runs.push_back({seed, folder, 100 * result.best_accuracy, 100 * result.last_accuracy});
      write();
    }
    tidy(folder);
  }

  void train_on_subsets(std::uint64_t seed) {
    std::vector<const SweepRun*> runs;
    for (const SweepRun& run : runs_)
      if (run.seed == seed) runs.push_back(&run);
    if (!std::all_of(runs.begin(), runs.end(), [&](const SweepRun* run) { return is_done(*run); })) {
      SweepSelection selection(folder_, seed, flags_, training_.epochs, setup_.device());
      for (const SweepRun* run : runs) selection.score(*run);
      record_planted(seed, selection);
      for (const SweepRun* run : runs)
        if (!is_done(*run)) train_on_subset(*run, selection);
    }
    for (const SweepRun* run : runs) tidy(run->folder);
  }

  // What the ends of every order hold of the samples that were planted.
  void record_planted(std::uint64_t seed, const SweepSelection& selection) {
    if (!setup_.data().truth) return;
    const PlantedTruth& truth = *setup_.data().truth;
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
    TrainingFlags flags = training_;
    flags.dynamics_features = false;
    flags.epochs = run.epochs;
    flags.batch_size = run.batch;
    flags.manual_seed = run.seed;
    const SubsetChoice choice = selection.choose(run);
    const RunResult result =
        train_in(run.folder, flags, &choice,
                 fmt::format("{} at {} ({} kept), seed {}", run.method.name, run.rate, run.kept, run.seed));
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

  RunResult train_in(const std::string& folder, TrainingFlags flags, const SubsetChoice* subset,
                     const std::string& what) {
    const std::size_t number = recorded() + 1;
    const std::string position = fmt::format("run {} of {}", number, total());
    if (interrupt_.requested()) stop(position);
    flags.save_path = (folder_ / folder).string();
    flags.resume = true;
    const bool resumed = std::filesystem::exists(folder_ / folder / "checkpoint.safetensors");
    const std::string left = pace_.left_text();
    const Clock::time_point start = Clock::now();
    try {
      const RunResult result =
          train(setup_, {.program = program_,
                         .resolved = resolved_,
                         .flags = flags,
                         .interrupt = interrupt_,
                         .subset = subset,
                         .label = fmt::format("{}{}, ", position, left.empty() ? "" : ", " + left),
                         .quiet = true});
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      const double work =
          work_of(subset ? static_cast<std::int64_t>(subset->ids.size()) : samples(), flags.epochs);
      // A resumed run tells nothing of the pace: only a part of it was done here.
      if (resumed)
        pace_.expect(-work);
      else
        pace_.done(work, seconds);
      const std::string now_left = pace_.left_text();
      fmt::print("{}: {}: best {:.2f} %, last {:.2f} % ({:.1f} s{})\n", position, what,
                 100 * result.best_accuracy, 100 * result.last_accuracy, seconds,
                 now_left.empty() ? "" : "; " + now_left);
      std::fflush(stdout);
      return result;
    } catch (const Interrupted&) {
      stop(position);
    }
  }

  [[noreturn]] void stop(const std::string& position) const {
    throw Interrupted(fmt::format("stopped in {}; run the same command again{} to go on", position,
                                  training_.overwrite ? " without --overwrite" : ""),
                      interrupt_.exit_code());
  }

  void write() {
    write_sweep(record_path(), record_);
    write_file_atomically(folder_ / "table.md", sweep_markdown(record_));
    write_file_atomically(folder_ / "table.csv", sweep_csv(record_));
  }

  void forget(const std::string& folder) const {
    std::filesystem::remove(folder_ / folder / "checkpoint.safetensors");
  }

  void tidy(const std::string& folder) const {
    forget(folder);
    if (flags_.keep_models) return;
    for (const char* name : {"model_best.safetensors", "model_last.safetensors"})
      std::filesystem::remove(folder_ / folder / name);
  }

  const ProgramInfo& program_;
  const SweepFlags& flags_;
  const TrainingFlags& training_;
  const ResolvedOptions& resolved_;
  std::filesystem::path folder_;
  InterruptRequest interrupt_;
  TrainingSetup setup_;
  std::vector<SweepRun> runs_;
  SweepRecord record_;
  Pace pace_;
};

}  // namespace

int run_sweep(const ProgramInfo& program, const SweepFlags& flags, const TrainingFlags& training,
              const ResolvedOptions& resolved) {
  check_sweep(flags, training);
  TrainingFlags recorded = training;
  recorded.dynamics_features |= need_features(parse_methods(flags.methods));
  std::optional<SweepRecord> before;
  if (!training.overwrite && std::filesystem::exists(record_in(training.save_path)))
    before = read_sweep(record_in(training.save_path));
  // Every seed of a sweep records the same.
  if (before) recorded.dynamics_features |= records_features(*before);
  return Sweep(program, flags, recorded, resolved, std::move(before)).run();
}

}  // namespace tdds
