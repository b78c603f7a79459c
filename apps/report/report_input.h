#pragma once
// What a report is about: the recorded run, its scores, and where they can be had its images and a sweep.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "apps/report/scores.h"
#include "apps/report/sweep_file.h"
#include "apps/sample_ids.h"
#include "engine/dataset.h"
#include "tdds/dynamics_source.h"

namespace tdds::report {

struct ReportOptions {
  std::string dynamics_path, sweep_path, output = "report.html";
  DatasetOptions data;  // name empty: no images, unless the run was on `shapes`, which is drawn again
  ScoreOptions scores;  // what is not given is the sweep's, where there is one
  std::optional<std::uint64_t>
      data_seed;  // --manualSeed of the run; not given: the sweep's, or the recording's
  double subset_rate = 0.5;
  int images = 24;  // in a contact sheet
};

class Subject {
 public:
  // Throws UsageError for options that make no sense, Error for files that are missing, damaged or do not
  // belong together.
  explicit Subject(const ReportOptions& options);

  const DynamicsSource& source() const { return *source_; }
  std::int64_t samples() const { return static_cast<std::int64_t>(set_.scores.front().score.size()); }
  const ScoreSet& set() const { return set_; }
  const SampleIds& sample_ids() const { return sample_ids_; }
  const Sweep* sweep() const { return sweep_ ? &*sweep_ : nullptr; }
  const Dataset* data() const { return data_ ? &*data_ : nullptr; }
  const PlantedTruth* truth() const { return data_ && data_->truth ? &*data_->truth : nullptr; }
  std::span<const std::int32_t> labels() const;  // [N], or empty
  std::int32_t classes() const;
  std::string class_name(std::int32_t label) const;  // its name, or its number
  std::string dataset_name() const;
  // Why there are no images; empty where there are.
  const std::string& no_images() const { return no_images_; }

 private:
  void load_images(const ReportOptions& report);
  void check_sweep() const;

  std::optional<Sweep> sweep_;
  std::optional<DynamicsSource> source_;
  ScoreSet set_;
  SampleIds sample_ids_;
  std::optional<Dataset> data_;
  std::string no_images_;
};

}  // namespace tdds::report
