#include "apps/training_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/planted_truth.h"
#include "apps/progress.h"
#include "apps/run_folder.h"
#include "apps/run_history.h"
#include "apps/run_identity.h"
#include "apps/run_log.h"
#include "apps/sample_ids.h"
#include "apps/save_pace.h"
#include "apps/training_plan.h"
#include "engine/checkpoint.h"
#include "engine/files.h"
#include "engine/trainer.h"
#include "tdds/moderate.h"

namespace tdds {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}
double mib(std::size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

class TrainingRun {
 public:
  TrainingRun(TrainingSetup& setup, const RunRequest& request)
      : setup_(setup),
        request_(request),
        flags_(request.flags),
        device_(setup.device()),
        stream_(setup.stream()),
        data_(setup.data()),
        net_(setup.net()),
        interrupt_(request.interrupt),
        folder_(request.flags.save_path),
        pace_(std::chrono::minutes(1) * request.flags.checkpoint_minutes, Clock::now()) {
    if (!flags_.evaluate) make_trainer();
    setup_.start(flags_.manual_seed, flags_.evaluate ? weights_to_evaluate(flags_) : flags_.init_weights);
    start_or_resume();
  }

  void evaluate_only() {
    const Evaluation test = setup_.test().run();
    log_->say(fmt::format("{}: test loss {:.4f}, accuracy {:.2f} %, top-5 {:.2f} %",
                          weights_to_evaluate(flags_), test.loss, 100 * test.accuracy, 100 * test.top5));
  }

  RunResult train() {
    while (!trainer_->done() && !settled()) {
      train_epoch();
      if (interrupt_.requested() || stop_wanted()) {
        keep_epoch();
        stop("");
      }
    }
    if (!trainer_->done())
      log_->say(fmt::format("the scores have settled: the run ends after epoch {} of {}", trainer_->epoch(),
                            flags_.epochs));
    finish();
    return {.best_accuracy = history_.best().test_accuracy,
            .last_accuracy = history_.last().test_accuracy,
            .steps = trainer_->steps_per_epoch() * trainer_->epoch()};
  }

 private:
  std::filesystem::path checkpoint_path() const { return folder_ / kCheckpointFile; }

  void make_trainer() {
    trainer_ = std::make_unique<Trainer>(device_, stream_, net_, setup_.pool(), setup_.train_set(),
                                         train_options(flags_, setup_, request_.subset));
  }

  RunIdentity identity() const { return run_identity(flags_, setup_, *trainer_, request_.subset); }

  void start_or_resume() {
    const bool resumed = flags_.resume && trainer_ && std::filesystem::exists(checkpoint_path());
    if (resumed) load();
    if (trainer_) make_scores();
    log_.emplace(folder_, request_.program, request_.resolved, device_.description(), !request_.quiet);
    if (flags_.threads > host_cores())
      log_->say(fmt::format("warning: {} threads on {} cores is slower than {}", flags_.threads, host_cores(),
                            host_cores()));
    if (trainer_) {
      // Before the first save of this run: stopped until then, it must not be taken for the one before.
      if (flags_.overwrite && !resumed) remove_run(folder_);
      log_->begin_metrics(trainer_->epoch());
      open_dynamics();
      write_train_ids(folder_, data_);
      write_planted_truth(folder_, data_);
      if (!data_.manifest.empty()) write_file_atomically(folder_ / "manifest.tsv", data_.manifest.text());
    }
    describe(resumed);
  }

  void load() {
    // The options first: that they differ is why tensors would not fit.
    history_ = RunHistory::from_metadata(SafetensorsFile(checkpoint_path()).metadata(), identity(),
                                         checkpoint_path().string());
    load_checkpoint(checkpoint_path(), stream_, net_.params(), *trainer_);
  }

  DynamicsHeader dynamics_header() const {
    return {.samples = data_.train.count(),
            .classes = data_.classes,
            .dataset = data_.name,
            .fingerprint = data_.fingerprint,
            .manifest = data_.manifest.empty() ? "" : data_.manifest.hash(),
            .seed = flags_.manual_seed,
            .labels = data_.train.labels,
            .fields = recorded_fields(flags_)};
  }

  std::string dynamics_path() const { return (folder_ / kDynamicsFile).string(); }

  // Before anything of an earlier run is touched: what is asked for may make no sense.
  void make_scores() {
    if (!flags_.score.methods.empty())
      scores_.emplace(flags_.score, dynamics_header(), flags_.epochs, folder_.string(), dynamics_path());
  }

  void open_dynamics() {
    if (!trainer_->options().dynamics) return;
    dynamics_.emplace(dynamics_path(), dynamics_header(), trainer_->epoch());
    if (!dynamics_->repair().empty()) log_->say(dynamics_->repair());
    if (!scores_) return;
    for (const std::string& note : scores_->notes()) log_->say(note);
    if (trainer_->epoch() > 0) scores_->replay(DynamicsReader(dynamics_path()), trainer_->epoch());
  }

  void describe(bool resumed) {
    log_->say(fmt::format("{}: {} training images, {} test images, {} classes", data_.name,
                          data_.train.count(), data_.test.count(), data_.classes));
    for (const std::string& note : data_.notes) log_->say(note);
    for (const std::string& note : device_.notes()) log_->say("warning: " + note);
    if (request_.subset)
      for (const std::string& note : request_.subset->notes) log_->say(note);
    log_->say(fmt::format("{}, width {}: {} parameters, {:.1f} MFLOP an image forward, {} on {}", flags_.arch,
                          flags_.width, net_.params().trainable(), 2e-6 * net_.forward_macs(),
                          flags_.precision, device_.description()));
    if (!trainer_) return;
    log_->say(fmt::format(
        "memory: parameters {:.1f} MiB, activations {:.1f}, scratch {:.1f}, training state {:.1f}",
        mib(net_.params().bytes()), mib(setup_.pool().saved_bytes()), mib(setup_.pool().scratch_bytes()),
        mib(trainer_->state_bytes())));
    log_->note(trainer_->plans());
    if (flags_.resume && !resumed)
      log_->say("no checkpoint in " + folder_.string() + ": the run starts here");
    if (resumed)
      log_->say(fmt::format("resumed at epoch {}, image {} of {}", trainer_->epoch(), trainer_->cursor(),
                            trainer_->samples()));
  }

  void train_epoch() {
    const Clock::time_point start = Clock::now();
    const std::int32_t epoch = trainer_->epoch();
    const std::int64_t first = trainer_->cursor();
    {
      Progress progress(fmt::format("{}epoch {}/{}", request_.label, epoch + 1, flags_.epochs),
                        trainer_->samples(), "images", flags_.print_freq);
      progress.start_at(first);
      while (trainer_->cursor() < trainer_->samples()) {
        trainer_->step();
        report(progress);
        if (trainer_->cursor() == trainer_->samples()) break;
        if (interrupt_.requested()) {
          save();
          stop(fmt::format(" at image {}", trainer_->cursor()));
        }
        if (pace_.due(Clock::now())) save();
      }
    }
    const double images = static_cast<double>(trainer_->samples() - first);
    const EpochRecord record = trainer_->end_epoch();
    images_per_second_ = images / seconds_since(start);
    close_epoch(epoch, record, images_per_second_, start);
  }

  void report(Progress& progress) {
    if (!progress.due()) {
      progress.update(trainer_->cursor());
      return;
    }
    const StepState state = trainer_->read_state();
    const double seen = std::max<double>(1, static_cast<double>(state.cursor));
    progress.update(trainer_->cursor(), fmt::format("loss {:.4f} accuracy {:.2f} %", state.loss_sum / seen,
                                                    100 * static_cast<double>(state.correct) / seen));
  }

  void close_epoch(std::int32_t epoch, const EpochRecord& record, double rate, Clock::time_point start) {
    const double train_seconds = seconds_since(start);
    EpochMetrics metrics{.epoch = epoch,
                         .train_loss = record.loss,
                         .train_accuracy = record.accuracy,
                         .images_per_second = rate,
                         .skipped_steps = record.skipped_steps};
    evaluate(metrics);
    write_dynamics(epoch, record);
    if (scores_) metrics.score_correlation = scores_->add(record.values);
    metrics.seconds = seconds_since(start);
    if (setup_.train_set().source() != nullptr) tell_waits(epoch, train_seconds);
    if (history_.add(metrics)) best_model_.emplace(model_now());
    log_->add_metrics(history_.json_line(metrics));
    log_->say(history_.text_line(metrics, flags_.epochs));
    epoch_kept_ = false;
    if (pace_.due_at_end_of_epoch(Clock::now())) keep_epoch();
  }

  ModelSnapshot model_now() const {
    return {
        stream_,
        net_.params(),
        {{"arch", flags_.arch}, {"epoch", std::to_string(history_.last().epoch)}, {"dataset", data_.name}}};
  }

  // The training loss is of the weights before each update: only this one shows what the last update did.
  void evaluate(EpochMetrics& metrics) {
    const Evaluation test = setup_.test().run();
    check(std::isfinite(test.loss),
          "the test loss after epoch {} is not finite: train with a lower --learning_rate; what was saved "
          "before stays as it is",
          metrics.epoch + 1);
    metrics.test_loss = test.loss;
    metrics.test_accuracy = test.accuracy;
    metrics.test_top5 = test.top5;
    if (Evaluator* validation = setup_.validation()) {
      const Evaluation held_out = validation->run();
      metrics.val_loss = held_out.loss;
      metrics.val_accuracy = held_out.accuracy;
    }
  }

  void tell_waits(std::int32_t epoch, double train_seconds) {
    const double waited = trainer_->waited_for_data() - waited_before_;
    waited_before_ = trainer_->waited_for_data();
    log_->say(
        fmt::format("epoch {}: the steps waited {:.2f} s for images from the disk, {:.2f} % of their time",
                    epoch + 1, waited, 100 * waited / train_seconds));
  }

  void draw_curve() const {
    history_.draw(folder_ / "curve.png", fmt::format("{} (width {}) on {} images of {}", flags_.arch,
                                                     flags_.width, trainer_->samples(), data_.name));
  }

  void write_dynamics(std::int32_t epoch, const EpochRecord& record) {
    if (dynamics_) dynamics_->append(epoch, record.values);
    if (!flags_.dynamics_npy) return;
    std::vector<float> loss;
    std::vector<std::int64_t> ids;
    for (std::int32_t row : record.order) {
      loss.push_back(record.values.loss[row]);
      ids.push_back(row);
    }
    write_official_epoch((folder_ / kNpyFolder).string(), epoch, loss, record.visit_logits, data_.classes,
                         ids);
  }

  // At the end of an epoch: what it leaves, unless that was done.
  void keep_epoch() {
    if (epoch_kept_) return;
    const Clock::time_point begin = Clock::now();
    keep_best();
    model_now().write(folder_ / kLastModelFile);
    if (!request_.quiet) draw_curve();
    save(begin);
    epoch_kept_ = true;
  }

  void keep_best() {
    if (best_model_) best_model_->write(folder_ / kBestModelFile);
    best_model_.reset();
  }

  void save(Clock::time_point begin = Clock::now()) {
    keep_best();  // first: the history in the checkpoint tells of it
    trainer_->read_state();
    Metadata metadata = history_.to_metadata(identity());
    if (std::string plans = device_.kept_plans(); !plans.empty()) metadata[kKeptPlans] = std::move(plans);
    save_checkpoint(checkpoint_path(), stream_, net_.params(), *trainer_, metadata);
    pace_.saved(begin, Clock::now());
  }

  bool settled() const { return scores_ && scores_->stable(); }

  bool stop_wanted() const {
    return !settled() && flags_.stop_after_epoch > 0 && trainer_->epoch() >= flags_.stop_after_epoch;
  }

  [[noreturn]] void stop(const std::string& where) {
    const std::string sentence =
        fmt::format("stopped in epoch {} of {}{}; run the same command with --resume to go on",
                    std::min(trainer_->epoch() + 1, flags_.epochs), flags_.epochs, where);
    log_->note(sentence);
    throw Interrupted(sentence, interrupt_.requested() ? interrupt_.exit_code() : 0);
  }

  void finish() {
    keep_epoch();
    if (request_.quiet) draw_curve();
    if (flags_.dynamics_features)
      write_features(
          features_beside(dynamics_path()), dynamics_header(),
          {setup_.train_features().features(), data_.train.count(), net_.features(), trainer_->epoch()});
    write_file_atomically(folder_ / kResultFile, history_.result_json(identity()).dump(2) + "\n");
    report_traffic();
    log_->say(history_.summary());
    if (scores_) log_->say(scores_->summary());
  }

  void report_traffic() {
    if (images_per_second_ == 0) return;
    const Traffic traffic = trainer_->traffic();
    const double gigabytes = 1e-9 * traffic.total(), steps = images_per_second_ / trainer_->options().batch;
    log_->say(fmt::format(
        "a step moves {:.4g} GB by plan, {:.4g} of it the floor (convolutions, input, optimizer) and "
        "the rest batch norm; the last epoch moved {:.3g} GB/s",
        gigabytes, 1e-9 * traffic.floor, gigabytes * steps));
  }

  TrainingSetup& setup_;
  const RunRequest request_;
  const TrainingFlags& flags_;
  Device& device_;
  Stream& stream_;
  const Dataset& data_;
  Net& net_;
  const InterruptRequest& interrupt_;
  std::filesystem::path folder_;
  std::unique_ptr<Trainer> trainer_;
  std::optional<RunLog> log_;
  std::optional<DynamicsWriter> dynamics_;
  std::optional<LiveScores> scores_;
  RunHistory history_;
  double images_per_second_ = 0;  // of the last epoch; 0: none was trained
  SavePace pace_;
  std::optional<ModelSnapshot> best_model_;  // until it is saved
  bool epoch_kept_ = true;                   // that the last epoch's end is saved
  double waited_before_ = 0;                 // for data, in earlier epochs
};

}  // namespace

RunResult train(TrainingSetup& setup, const RunRequest& request) {
  return TrainingRun(setup, request).train();
}

int run_training(const ProgramInfo& program, const TrainingFlags& flags, const ResolvedOptions& resolved,
                 const ChooseSubset& choose) {
  check_usage(flags.dry_run || flags.target.empty(), "--target {} is only planned for: add --dry_run",
              flags.target);
  if (flags.dry_run) return print_training_plan(flags, choose);
  const InterruptRequest interrupt;
  check_training_flags(flags);
  if (flags.evaluate)
    weights_to_evaluate(flags);
  else
    claim_run_folder(flags);
  std::optional<SubsetChoice> subset;
  try {
    TrainingSetup setup(flags);
    if (choose) subset = choose(setup.data());
    TrainingRun run(setup, {.program = program,
                            .resolved = resolved,
                            .flags = flags,
                            .interrupt = interrupt,
                            .subset = subset ? &*subset : nullptr});
    if (flags.evaluate)
      run.evaluate_only();
    else
      run.train();
    return 0;
  } catch (const OutOfMemory& error) {
    // The setup is gone, and with it what it had allocated.
    const std::unique_ptr<Device> device = choose_device(flags);
    const Dataset data = load_dataset(dataset_options(flags));
    if (choose && !subset) subset = choose(data);
    throw Error(out_of_memory_sentence(flags, *device, data, subset ? &*subset : nullptr, error));
  }
}

}  // namespace tdds
