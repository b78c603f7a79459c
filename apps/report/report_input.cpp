#include "apps/report/report_input.h"

#include <fmt/format.h>

#include <filesystem>

#include "apps/cli/dataset_flags.h"
#include "apps/cli/interrupt.h"
#include "apps/score/image_order.h"
#include "kernels/runtime/check.h"

namespace tdds::report {
namespace {

void check_options(const ReportOptions& options) {
  check_usage(options.subset_rate > 0 && options.subset_rate < 1,
              "--subset_rate is {}; it is the share that is pruned, between 0 and 1", options.subset_rate);
  check_usage(options.images >= 1 && options.images <= 200, "--images is {}; give 1 to 200", options.images);
  check_usage(!options.dynamics_path.empty() || !options.sweep_path.empty(),
              "--dynamics_path is missing: give the folder of a run of tdds-train --dynamics, or --sweep");
}

// The folder of the sweep's first training on all samples.
std::string first_scoring_run(const SweepRecord& sweep, const std::filesystem::path& path) {
  check(!sweep.scoring_runs.empty(), "{} holds no scoring run yet; give --dynamics_path", path.string());
  return (path.parent_path() / sweep.scoring_runs.front().folder).string();
}

}  // namespace

ReportInput::ReportInput(const ReportOptions& options) : sweep_path_(options.sweep_path) {
  check_options(options);
  if (!sweep_path_.empty()) {
    sweep_ = read_sweep(sweep_path_);
    check(!sweep_->runs.empty(), "{} holds no finished run yet; let tdds-sweep continue first", sweep_path_);
  }
  source_.emplace(
      options.dynamics_path.empty() ? first_scoring_run(*sweep_, sweep_path_) : options.dynamics_path,
      rule_of(options.missing));
  set_ = scores_for_report(options.scores, *source_);
  sample_ids_ = SampleIds(source_->path(), samples());
  load_images(options);
  if (sweep_)
    check(sweep_->samples == samples(),
          "{} has {} samples, and {} has {}; give the dynamics of one of its scoring runs, or none",
          sweep_path_, sweep_->samples, source_->path(), samples());
}

void ReportInput::load_images(const ReportOptions& report) {
  DatasetOptions options = report.data;
  const DynamicsReader* store = source_->store();
  const bool asked = !options.name.empty() && !report.data_recorded;
  if (options.name.empty() && (!store || store->header().dataset != "shapes")) {
    no_images_ = "give --dataset and --data_path of the run to see the images";
    return;
  }
  if (store) options.seed = store->header().seed;
  if (report.data_seed) options.seed = *report.data_seed;
  if (options.name.empty()) options.name = "shapes";
  if (options.name == "shapes" && options.shapes_train == 0)
    options.shapes_train = samples();  // exact unless some were held out
  show_loading(options);
  const InterruptRequest interrupt;
  try {
    take_images(load_dataset(options));
  } catch (const Interrupted&) {
    throw;
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    if (asked) throw;
    no_images_ = error.what();
  }
}

void ReportInput::take_images(Dataset data) {
  const DynamicsReader* store = source_->store();
  // Images that stay on disk have another fingerprint but the same manifest.
  const bool same = data.train.count() == samples() &&
                    (!store || data.fingerprint == store->header().fingerprint ||
                     (!data.manifest.empty() && data.manifest.hash() == store->header().manifest));
  if (!same) check_image_order(std::filesystem::path(source_->path()).parent_path() / "manifest.tsv");
  check(
      same,
      "{} was not recorded on these {} images of {}; give the data flags of the run, which its log.txt lists",
      source_->path(), data.train.count(), data.name);
  data_ = std::move(data);
}

std::span<const std::int32_t> ReportInput::labels() const {
  if (source_->store() && !source_->store()->header().labels.empty())
    return source_->store()->header().labels;
  if (data_) return data_->train.labels;
  return {};
}

std::int32_t ReportInput::classes() const {
  if (source_->store()) return source_->store()->header().classes;
  return data_ ? data_->classes : 0;
}

std::string ReportInput::class_name(std::int32_t label) const {
  const auto at = static_cast<std::size_t>(label);
  return data_ && at < data_->class_names.size() ? data_->class_names[at] : std::to_string(label);
}

std::string ReportInput::dataset_name() const {
  if (source_->store() && !source_->store()->header().dataset.empty())
    return source_->store()->header().dataset;
  return data_ ? data_->name : "recorded dynamics";
}

}  // namespace tdds::report
