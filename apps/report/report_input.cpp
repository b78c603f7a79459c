#include "apps/report/subject.h"

#include <fmt/format.h>

#include "apps/dataset_flags.h"
#include "kernels/check.h"

namespace tdds::report {
namespace {

void check_options(const ReportOptions& options) {
  check_usage(options.subset_rate > 0 && options.subset_rate < 1,
              "--subset_rate is {}; it is the share that is pruned, between 0 and 1", options.subset_rate);
  check_usage(options.images >= 1 && options.images <= 200, "--images is {}; give 1 to 200", options.images);
  check_usage(!options.dynamics_path.empty() || !options.sweep_path.empty(),
              "--dynamics_path is missing: give the folder of a run of tdds-train --dynamics, or --sweep");
}

// The scores that the sweep judged, and not others.
ScoreOptions with_settings_of(const Sweep& sweep, ScoreOptions options) {
  if (options.trajectory_lens.empty()) options.trajectory_lens = sweep.scores.trajectory_lens;
  if (options.window_sizes.empty()) options.window_sizes = sweep.scores.window_sizes;
  if (!options.decay) options.decay = sweep.scores.decay;
  if (options.method_window == 0) options.method_window = sweep.scores.method_window;
  if (options.method_epochs == 0) options.method_epochs = sweep.scores.method_epochs;
  return options;
}

}  // namespace

Subject::Subject(const ReportOptions& options) {
  check_options(options);
  if (!options.sweep_path.empty()) sweep_ = read_sweep(options.sweep_path);
  const std::string& path = options.dynamics_path.empty() ? sweep_->first_scoring_run : options.dynamics_path;
  check(!path.empty(), "{} holds no scoring run yet; give --dynamics_path", options.sweep_path);
  source_.emplace(path);
  set_ = scores_for_report(sweep_ ? with_settings_of(*sweep_, options.scores) : options.scores, *source_);
  sample_ids_ = SampleIds(*source_, samples());
  load_images(options);
  check_sweep();
}

void Subject::load_images(const ReportOptions& report) {
  DatasetOptions options = report.data;
  const DynamicsReader* store = source_->store();
  const bool asked = !options.name.empty();
  if (!asked && (!store || store->header().dataset != "shapes")) {
    no_images_ = "give --dataset and --data_path of the run to see the images";
    return;
  }
  if (store) options.seed = store->header().seed;
  if (sweep_ && sweep_->data_seed) options.seed = *sweep_->data_seed;
  if (report.data_seed) options.seed = *report.data_seed;
  if (options.name.empty()) options.name = "shapes";
  if (options.name == "shapes" && options.shapes_train == 0)
    options.shapes_train = samples();  // exact unless some were held out
  show_loading(options);
  Dataset data = load_dataset(options);
  const bool same =
      data.train.count() == samples() && (!store || data.fingerprint == store->header().fingerprint);
  if (same) {
    data_ = std::move(data);
    return;
  }
  const std::string reason = fmt::format(
      "{} was not recorded on these {} images of {}; give the data flags of the run, which its log.txt lists",
      source_->path(), data.train.count(), data.name);
  check(!asked, "{}", reason);
  no_images_ = reason;
}

void Subject::check_sweep() const {
  if (!sweep_) return;
  check(sweep_->samples == samples(),
        "{} is of {} samples and {} of {}; give the dynamics of one of its scoring runs, or none",
        sweep_->path, sweep_->samples, source_->path(), samples());
}

std::span<const std::int32_t> Subject::labels() const {
  if (source_->store() && !source_->store()->header().labels.empty())
    return source_->store()->header().labels;
  if (data_) return data_->train.labels;
  return {};
}

std::int32_t Subject::classes() const {
  if (source_->store()) return source_->store()->header().classes;
  return data_ ? data_->classes : 0;
}

std::string Subject::class_name(std::int32_t label) const {
  const auto at = static_cast<std::size_t>(label);
  return data_ && at < data_->class_names.size() ? data_->class_names[at] : std::to_string(label);
}

std::string Subject::dataset_name() const {
  if (source_->store() && !source_->store()->header().dataset.empty())
    return source_->store()->header().dataset;
  return data_ ? data_->name : "recorded dynamics";
}

}  // namespace tdds::report
