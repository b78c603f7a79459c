#pragma once
// The files that tdds-score --export writes: the kept samples, for other frameworks.
//
//   <export_dir>/<stem>_<selection>_<amount>.txt   list: one path per line
//   <export_dir>/<stem>_<selection>_<amount>.csv   csv: id,path,label,class,score; ids, not rows
//   <export_dir>/<stem>_<selection>_<amount>/train/<class>/...   links: symbolic links to the files

#include <filesystem>
#include <string>

#include "apps/score/sample_ids.h"
#include "apps/score/score_run.h"
#include "engine/data/manifest.h"

namespace tdds {

// Throws UsageError for --export without --export_dir or without a selection, and for an unknown form.
void check_exports(const ScoreOptions& options, bool selects);

class SubsetExporter {
 public:
  // Throws Error if the run of `source` left no manifest or one of other data, or if the files do not exist.
  SubsetExporter(const ScoreOptions& options, const DynamicsSource& source, const SampleIds& sample_ids);

  // Throws Error if the folder of links already exists.
  void check_free(const ScoredMethod& scored, const Selection& selection) const;
  // Writes all forms and prints their paths.
  void write(const ScoredMethod& scored, const Selection& selection) const;

 private:
  std::filesystem::path place(const ScoredMethod& scored, const Selection& selection) const;
  std::filesystem::path path_of(std::int64_t row) const;
  std::string list(const Selection& selection) const;
  std::string csv(const ScoredMethod& scored, const Selection& selection) const;
  void link(const std::filesystem::path& folder, const Selection& selection) const;

  const ScoreOptions& options_;
  const SampleIds& sample_ids_;
  std::filesystem::path manifest_path_, folder_;
  Manifest manifest_;
};

}  // namespace tdds
