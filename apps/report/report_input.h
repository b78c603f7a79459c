#pragma once
// The input of a report: the recorded run, its scores and, if available, its images and a sweep.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "apps/report/scores.h"
#include "apps/score/missing_visits.h"
#include "apps/score/sample_ids.h"
#include "apps/sweep/sweep_record.h"
#include "engine/data/dataset.h"
#include "tdds/dynamics/dynamics_source.h"

namespace tdds::report {

struct ReportOptions {
  std::string dynamics_path, sweep_path, output = "report.html";
  DatasetOptions data;         // name empty: no images, unless the run was on `shapes`, which is drawn again
  bool data_recorded = false;  // data's name is the sweep's: absent images are left out and are not an error
  MissingVisitsFlags missing;
  ReportScoreOptions scores;
  std::optional<std::uint64_t> data_seed;  // none: the recording's
  double subset_rate = 0.5;
  int images = 24;    // in a contact sheet
  ConfigFlags files;  // of flags
};

class ReportInput {
 public:
  // Throws UsageError for invalid options, Error for files that are missing, damaged or do not belong
  // together.
  explicit ReportInput(const ReportOptions& options);

  const DynamicsSource& source() const { return *source_; }
  std::int64_t samples() const { return static_cast<std::int64_t>(set_.scores.front().score.size()); }
  const ScoreSet& set() const { return set_; }
  const SampleIds& sample_ids() const { return sample_ids_; }
  const SweepRecord* sweep() const { return sweep_ ? &*sweep_ : nullptr; }
  const std::string& sweep_path() const { return sweep_path_; }
  const Dataset* data() const { return data_ ? &*data_ : nullptr; }
  const GroundTruth* truth() const { return data_ && data_->truth ? &*data_->truth : nullptr; }
  std::span<const std::int32_t> labels() const;  // [N], or empty
  std::int32_t classes() const;
  std::string class_name(std::int32_t label) const;  // its name, or its number
  std::string dataset_name() const;
  // Why there are no images; empty if there are.
  const std::string& no_images() const { return no_images_; }

 private:
  void load_images(const ReportOptions& report);
  void take_images(Dataset data);  // throws Error if they are not the recorded ones

  std::string sweep_path_;
  std::optional<SweepRecord> sweep_;
  std::optional<DynamicsSource> source_;
  ScoreSet set_;
  SampleIds sample_ids_;
  std::optional<Dataset> data_;
  std::string no_images_;
};

}  // namespace tdds::report
