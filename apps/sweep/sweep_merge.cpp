#include "apps/sweep/sweep_merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/cli/output.h"
#include "apps/sweep/shard_records.h"
#include "apps/sweep/sweep_folder.h"
#include "apps/sweep/sweep_table.h"
#include "apps/train/run_folder.h"
#include "kernels/runtime/check.h"

namespace tdds {

int merge_sweep(const SweepFlags& flags, const TrainConfig& config, const FlagTexts& texts,
                const EarlierFlags& earlier) {
  check_usage(flags.shard.empty() && !config.overwrite,
              "--merge joins what shards have recorded; leave --shard and --overwrite out");
  const SweepFolder folder(config.save_path, flags.keep_models);
  check(!record_files(folder.path()).empty(),
        "{} holds no record of a sweep: give the --save_path of its shards", config.save_path);
  const auto lock =
      lock_or_refuse(folder / kSweepLock, fmt::format("the sweep in {}", config.save_path), "--save_path");
  const std::vector<std::filesystem::path> files = record_files(folder.path());
  std::vector<SweepRecord> parts;
  parts.reserve(files.size());
  for (const std::filesystem::path& file : files) parts.push_back(read_sweep(file));
  SweepRecord asked = parts.front();
  asked.settings = recorded_settings(texts, flags.methods, records_features(parts.front()));
  const SweepDefaults defaults{.flags = earlier.defaults, .automatic = {}};
  check_same_sweep(parts.front(), asked, defaults, files.front());
  for (std::size_t i = 0; i < parts.size(); ++i) check_continues(parts[i], parts.front(), defaults, files[i]);
  const SweepRecord all = joined(parts);
  const std::vector<std::string> missing = missing_runs(all);
  check(missing.empty(), "{} of the runs are missing: {}; start the shards again, and merge them then",
        missing.size(), fmt::join(missing, ", "));
  folder.write(all);
  for (const std::filesystem::path& file : shard_files(folder.path())) std::filesystem::remove(file);
  for (const ScoringRecord& run : all.scoring_runs) folder.tidy_recorded(run.folder);
  for (const RunRecord& run : all.runs) folder.tidy_recorded(run.folder);
  print_out("{}\nThe tables are in {}\n", sweep_markdown(all), (folder / "table.md").string());
  return 0;
}

}  // namespace tdds
