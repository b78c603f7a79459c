#include "apps/train/training_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/progress.h"
#include "apps/score/image_order.h"
#include "apps/score/sample_ids.h"
#include "apps/train/checkpoint_policy.h"
#include "apps/train/ground_truth.h"
#include "apps/train/ranks_of_run.h"
#include "apps/train/recorded_flags.h"
#include "apps/train/run_description.h"
#include "apps/train/run_fingerprint.h"
#include "apps/train/run_folder.h"
#include "apps/train/run_history.h"
#include "apps/train/run_log.h"
#include "apps/train/run_recording.h"
#include "engine/checkpoint.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "engine/trainer.h"

namespace tdds {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}
class TrainingRun {
 public:
  TrainingRun(TrainingSetup& setup, const RunRequest& request)
      : setup_(setup),
        request_(request),
        config_(request.config),
        device_(setup.device()),
        stream_(setup.stream()),
        data_(setup.data()),
        net_(setup.net()),
        parallel_(setup.parallel()),
        leads_(!parallel_ || parallel_->ranks().first()),
        interrupt_(request.interrupt),
        folder_(request.config.save_path),
        pace_(std::chrono::minutes(1) * request.config.checkpoint_minutes, Clock::now()) {
    if (!config_.evaluate) make_trainer();
    setup_.start(config_.train.seed, config_.evaluate ? weights_to_evaluate(config_) : config_.init_weights,
                 config_.init_head);
    start_or_resume();
  }

  void evaluate_only() { say(evaluate_file(weights_to_evaluate(config_))); }

  RunResult train() {
    while (!trainer_->done() && !settled_) {
      train_epoch();
      if (anywhere(interrupt_.requested()) || stop_wanted()) {
        keep_epoch();
        stop("");
      }
    }
    if (!trainer_->done())
      say(fmt::format("the scores have settled: the run ends after epoch {} of {}", trainer_->epoch(),
                      config_.train.epochs));
    finish();
    return {.best_accuracy = history_.best().test_accuracy,
            .last_accuracy = history_.last().test_accuracy,
            .steps = trainer_->steps_per_epoch() * trainer_->epoch()};
  }

 private:
  // Rank 0 writes and prints; the others only compute.
  void say(const std::string& sentence) {
    if (log_) log_->say(sentence);
  }
  // Whether it is true on some rank. Collective.
  bool anywhere(bool here) const { return parallel_ ? parallel_->ranks().any(here) : here; }

  // Tests the network, which has the weights of the file, and describes the result.
  std::string evaluate_file(const std::string& weights) {
    const Evaluation test =
        setup_.test().run([] { heed_interrupt("stopped while the test images were evaluated"); });
    check(std::isfinite(test.loss),
          "{}: the network's outputs for the test images are not finite with --precision {}, so they have no "
          "accuracy; use weights that were saved before they grew so large",
          weights, to_string(setup_.precision_kind()));
    return fmt::format("{}: test loss {:.4f}, accuracy {:.2f} %, top-5 {:.2f} %", weights, test.loss,
                       100 * test.accuracy, 100 * test.top5);
  }

  std::filesystem::path checkpoint_path() const { return folder_ / kCheckpointFile; }

  void make_trainer() {
    trainer_ = std::make_unique<Trainer>(device_, stream_, net_, setup_.pool(), setup_.train_set(),
                                         train_options(config_, setup_, request_.subset), parallel_);
  }

  void start_or_resume() {
    const bool resumed = config_.resume && trainer_ && std::filesystem::exists(checkpoint_path());
    if (trainer_) fingerprint_ = run_fingerprint(config_, setup_, *trainer_, request_.subset);
    if (resumed) load();
    // Before anything of an earlier run changes, because the settings of scores may be invalid.
    if (trainer_ && leads_) recording_.emplace(config_, data_, folder_);
    // Also holds rank 0 back from changing the folder until all ranks have read it.
    if (parallel_) check_ranks_are_alike(parallel_->ranks(), setup_, fingerprint_);
    // Before anything in the folder changes. It also rules out these weights as the cause of a later loss
    // that is not finite.
    std::string start;
    if (trainer_ && !resumed && !config_.init_weights.empty()) start = evaluate_file(config_.init_weights);
    const std::string ranks = parallel_ ? ranks_sentence(parallel_->ranks(), config_, device_) : "";
    if (leads_) {
      begin_files(resumed);
      describe(resumed, ranks);
    }
    settled_ = anywhere(scores_settled());
    if (!start.empty()) say(start);
  }

  void begin_files(bool resumed) {
    log_.emplace(folder_, request_.program, request_.flags, device_.description(), !request_.quiet);
    if (config_.threads > host_cores())
      log_->say(fmt::format("warning: {} threads on {} cores is slower than {}", config_.threads,
                            host_cores(), host_cores()));
    if (!trainer_) return;
    // Before the first save: if this run stops until then, the files of the earlier run must not be taken for
    // its own.
    if (config_.overwrite && !resumed) remove_run(folder_);
    log_->begin_metrics(trainer_->epoch());
    recording_->open(trainer_->epoch(), *log_);
    write_train_ids(folder_, data_);
    write_ground_truth(folder_, data_);
    if (!data_.manifest.empty()) write_file_atomically(folder_ / "manifest.tsv", data_.manifest.text());
  }

  void load() {
    check_image_order(folder_ / "manifest.tsv");
    // Options are compared first, because tensors do not fit if they differ.
    const Metadata metadata = SafetensorsFile(checkpoint_path()).metadata();
    const std::string path = checkpoint_path().string();
    resume_notes_ = check_same_run(recorded_fingerprint(metadata, path), fingerprint_, path);
    history_ = RunHistory::from_metadata(metadata, path);
    load_checkpoint(checkpoint_path(), stream_, net_.params(), *trainer_);
  }

  void describe(bool resumed, const std::string& ranks) {
    describe_run(*log_, request_, setup_, trainer_.get(), resume_notes_);
    if (!ranks.empty()) log_->say(ranks);
    if (!trainer_) return;
    if (config_.sync_batchnorm && !parallel_)
      log_->say("note: --sync_batchnorm changes nothing in one process");
    if (config_.resume && !resumed) log_->say("no checkpoint in " + folder_.string() + ": a new run starts");
    if (resumed)
      log_->say(fmt::format("resumed at epoch {}, image {} of {}", trainer_->epoch(), trainer_->cursor(),
                            trainer_->samples()));
  }

  void train_epoch() {
    const Clock::time_point start = Clock::now();
    const std::int32_t epoch = trainer_->epoch();
    const std::int64_t first = trainer_->cursor();
    {
      Progress progress(fmt::format("{}epoch {}/{}", request_.label, epoch + 1, config_.train.epochs),
                        trainer_->samples(), "images", leads_ ? config_.print_freq : 0,
                        leads_ ? ProgressOutput::on_stderr() : ProgressOutput{stderr, false, 0});
      progress.start_at(first);
      while (trainer_->cursor() < trainer_->samples()) {
        trainer_->step();
        report(progress);
        if (trainer_->cursor() == trainer_->samples()) break;
        heed_within_epoch();
        if (leads_ && pace_.due(Clock::now())) save();
      }
    }
    const double images = static_cast<double>(trainer_->samples() - first);
    trainer_->read_state();  // waits for the steps
    close_epoch(epoch, images / seconds_since(start), start);
  }

  void heed_within_epoch() {
    if (!anywhere(interrupt_.requested())) return;
    save();
    stop(fmt::format(" at image {}", trainer_->cursor()));
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

  void close_epoch(std::int32_t epoch, double rate, Clock::time_point start) {
    const double train_seconds = seconds_since(start);
    EpochMetrics metrics{.epoch = epoch, .images_per_second = rate};
    // Evaluated first: if it is interrupted, the run is resumed at the epoch's last step and evaluated again.
    evaluate(metrics);
    const EpochRecord record = trainer_->end_epoch();
    metrics.train_loss = record.loss;
    metrics.train_accuracy = record.accuracy;
    metrics.skipped_steps = record.skipped_steps;
    if (recording_) metrics.score_correlation = recording_->add(epoch, record);
    settled_ = anywhere(scores_settled());
    metrics.seconds = seconds_since(start);
    if (setup_.train_set().source() != nullptr) tell_waits(epoch, train_seconds);
    const bool best = history_.add(metrics);
    if (!leads_) return;
    if (best) best_model_.emplace(model_now());
    log_->add_metrics(history_.json_line(metrics));
    log_->say(history_.text_line(metrics, config_.train.epochs));
    epoch_kept_ = false;
    if (pace_.due_at_end_of_epoch(Clock::now())) keep_epoch();
  }

  ModelSnapshot model_now() const {
    return {
        stream_,
        net_.params(),
        {{"arch", config_.arch}, {"epoch", std::to_string(history_.last().epoch)}, {"dataset", data_.name}}};
  }

  // The training loss is that of the weights before each update. Only this one shows the effect of the last
  // update.
  void evaluate(EpochMetrics& metrics) {
    // Ranks may evaluate different numbers of batches, so they agree on an end only between epochs.
    const auto poll = [this] {
      if (!parallel_) heed_within_epoch();
    };
    if (parallel_) parallel_->share_running(stream_, net_.params());
    const auto run = [&](Evaluator& evaluator, const char* images) {
      const Evaluation evaluation = evaluator.run(poll);
      check(std::isfinite(evaluation.loss),
            "the network's outputs for the {} images after epoch {} are not finite: train with a lower "
            "--learning_rate; the files saved before are unchanged",
            images, metrics.epoch + 1);
      return evaluation;
    };
    const Evaluation test = run(setup_.test(), "test");
    metrics.test_loss = test.loss;
    metrics.test_accuracy = test.accuracy;
    metrics.test_top5 = test.top5;
    if (Evaluator* validation = setup_.validation()) {
      const Evaluation held_out = run(*validation, "held-out");
      metrics.val_loss = held_out.loss;
      metrics.val_accuracy = held_out.accuracy;
    }
  }

  void tell_waits(std::int32_t epoch, double train_seconds) {
    const double waited = trainer_->waited_for_data() - waited_before_;
    waited_before_ = trainer_->waited_for_data();
    say(fmt::format("epoch {}: the steps waited {:.2f} s for images from the disk, {:.2f} % of their time",
                    epoch + 1, waited, 100 * waited / train_seconds));
  }

  void draw_curve() const {
    history_.draw(folder_ / "curve.svg", fmt::format("{} (width {}) on {} images of {}", config_.arch,
                                                     config_.width, trainer_->samples(), data_.name));
  }

  // Saves the state at the end of an epoch, unless that was done.
  void keep_epoch() {
    if (epoch_kept_) return;  // always, but on rank 0
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
    if (!leads_) return;
    keep_best();  // first, because the checkpoint's history refers to it
    trainer_->read_state();
    Metadata metadata = history_.to_metadata(fingerprint_);
    // A run of a sweep is continued from the sweep's own record.
    if (!request_.quiet)
      metadata[kKeptFlags] = flags_text(with_choices(request_.flags, made_choices(config_, setup_)));
    if (std::string plans = device_.pinned_plans(); !plans.empty()) metadata[kPinnedPlans] = std::move(plans);
    save_checkpoint(checkpoint_path(), stream_, net_.params(), *trainer_, metadata);
    pace_.saved(begin, Clock::now());
  }

  bool scores_settled() const { return recording_ && recording_->settled(); }

  bool stop_wanted() const {
    return !settled_ && config_.stop_after_epoch > 0 && trainer_->epoch() >= config_.stop_after_epoch;
  }

  [[noreturn]] void stop(const std::string& where) {
    const std::string sentence =
        fmt::format("stopped in epoch {} of {}{}; run the same command with --resume to continue",
                    std::min(trainer_->epoch() + 1, config_.train.epochs), config_.train.epochs, where);
    if (log_) log_->note(sentence);
    const int code = agreed_exit_code();
    if (parallel_) parallel_->ranks().agree_to_end();
    throw Interrupted(sentence, code);
  }

  // That of the signal, which a launcher may have sent to one rank alone; 0 without one.
  int agreed_exit_code() const {
    const int mine = interrupt_.requested() ? interrupt_.exit_code() : 0;
    if (!parallel_) return mine;
    int code = 0;
    for (const std::string& one : parallel_->ranks().gather(std::to_string(mine)))
      code = std::max(code, std::stoi(one));
    return code;
  }

  void finish() {
    if (!leads_) return;
    keep_epoch();
    if (request_.quiet) draw_curve();
    const auto poll = [this] {
      if (!parallel_ && interrupt_.requested()) stop(" while its features were computed");
    };
    if (config_.dynamics_features)
      recording_->write_features(setup_.train_features().features(poll), net_.features(), trainer_->epoch());
    write_file_atomically(folder_ / kResultFile, json_text(history_.result_json(fingerprint_), 2) + "\n");
    log_->say(history_.summary());
    if (const std::string scores = recording_->summary(); !scores.empty()) log_->say(scores);
  }

  TrainingSetup& setup_;
  const RunRequest request_;
  const TrainConfig& config_;
  Device& device_;
  Stream& stream_;
  const Dataset& data_;
  Net& net_;
  DataParallel* parallel_;  // null: one process
  bool leads_;              // rank 0, or the one process
  const InterruptRequest& interrupt_;
  std::filesystem::path folder_;
  std::unique_ptr<Trainer> trainer_;
  std::optional<RunLog> log_;
  std::optional<RunRecording> recording_;  // of a training, on rank 0
  RunFingerprint fingerprint_;             // of a training
  std::vector<std::string> resume_notes_;  // about what the checkpoint does not record
  RunHistory history_;
  CheckpointPolicy pace_;
  std::optional<ModelSnapshot> best_model_;  // until it is saved
  bool settled_ = false;                     // the scores, on rank 0
  bool epoch_kept_ = true;                   // whether the end of the last epoch is saved
  double waited_before_ = 0;                 // for data, in earlier epochs
};

}  // namespace

RunResult train(TrainingSetup& setup, const RunRequest& request) {
  return TrainingRun(setup, request).train();
}

void evaluate(TrainingSetup& setup, const RunRequest& request) {
  TrainingRun(setup, request).evaluate_only();
}

}  // namespace tdds
