#include "apps/train/training_program.h"

#include <fmt/ranges.h>

#include <optional>

#include "apps/cli/kernel_report.h"
#include "apps/cli/output.h"
#include "apps/train/rank_launcher.h"
#include "apps/train/ranks_of_run.h"
#include "apps/train/recorded_flags.h"
#include "apps/train/run_fingerprint.h"
#include "apps/train/run_folder.h"
#include "apps/train/training_plan.h"
#include "apps/train/training_run.h"
#include "engine/data_parallel.h"

namespace tdds {

namespace {

// A note about the given flags that choose a subset, which an evaluation does not use.
std::string unused_note(const FlagTexts& flags) {
  std::vector<std::string> unused;
  for (const char* name : {"mask_path", "score_path", "random_subset"}) {
    const std::string* value = find_text(flags, name);
    if (value && !value->empty() && *value != "false") unused.push_back(fmt::format("--{}", name));
  }
  return unused.empty()
             ? ""
             : fmt::format("not used: {}; --evaluate tests the weights as they are", fmt::join(unused, ", "));
}

// choose_rows sets `subset` where the run has one.
std::unique_ptr<TrainingSetup> set_up(const TrainConfig& config, Ranks* ranks,
                                      const std::function<void(TrainingSetup&)>& choose_rows,
                                      const std::optional<SubsetChoice>& subset) {
  if (!ranks) {
    auto setup = std::make_unique<TrainingSetup>(config);
    choose_rows(*setup);
    return setup;
  }
  return set_up_rank(config, *ranks, [&](TrainingSetup& setup) {
    choose_rows(setup);
    const std::int64_t samples =
        subset ? static_cast<std::int64_t>(subset->ids.size()) : setup.data().train.count();
    if (!config.evaluate) setup.plan(samples, config.train.batch);
  });
}

}  // namespace

int run_training(const ProgramInfo& program, const TrainConfig& config, const FlagTable& table,
                 const EarlierFlags& earlier, const ChooseSubset& choose) {
  const FlagTexts flags = texts_of(table);
  check_config(config);
  check_usage(config.dry_run || config.kernel_report || config.target.empty(),
              "--target {} only works with --dry_run or --kernel_report: add one of them", config.target);
  check_usage(!config.dry_run || !config.kernel_report,
              "--dry_run runs no kernel, and --kernel_report needs some: leave one of them out");
  if (config.dry_run) return print_training_plan(config, choose);
  const ReportTarget target = config.kernel_report ? report_target(config.target) : ReportTarget{};
  if (config.ngpu > 1 && !launched_rank()) {
    check_shared_batch(config.train.batch, config.ngpu);  // before so many processes start
    return launch_ranks(config.ngpu);
  }
  const std::unique_ptr<Ranks> ranks = join_ranks();
  const bool leads = !ranks || ranks->first();  // writes the run's files
  const InterruptRequest interrupt;
  std::unique_ptr<FileLock> lock;
  if (config.evaluate)
    weights_to_evaluate(config);
  else if (leads)
    lock = claim_run_folder(config);
  std::vector<std::string> notes;
  if (lock && !lock->warning().empty()) notes.push_back("warning: " + lock->warning());
  if (!earlier.taken.empty()) notes.push_back(taken_note(earlier, "the run in " + config.save_path));
  // An evaluation uses only the weights and the test images.
  const bool chooses = choose && !config.evaluate;
  if (choose && config.evaluate) notes.push_back(unused_note(flags));
  std::erase(notes, "");
  std::optional<SubsetChoice> subset;
  const auto choose_rows = [&](TrainingSetup& setup) {
    if (chooses) subset = choose(setup.data());
  };
  try {
    const std::unique_ptr<TrainingSetup> setup = set_up(config, ranks.get(), choose_rows, subset);
    if (leads)
      save_config(config.files.save_config, program.name, table,
                  with_choices(flags, made_choices(config, *setup)));
    const RunRequest request{.program = program,
                             .flags = flags,
                             .config = config,
                             .interrupt = interrupt,
                             .subset = subset ? &*subset : nullptr,
                             .notes = std::move(notes)};
    if (config.evaluate)
      evaluate(*setup, request);
    else
      train(*setup, request);
    if (config.kernel_report) print_out("\n{}", kernel_table(*setup->device().kernel_counts(), target));
    if (ranks) ranks->leave();
    return 0;
  } catch (const Interrupted&) {
    if (ranks && ranks->agreed_to_end()) ranks->leave();
    throw;
  } catch (const OutOfMemory& error) {
    // The setup is destroyed here, and its memory is free again.
    if (ranks) throw;
    TrainConfig planned = config;
    planned.dry_run = true;  // times no plans
    const std::unique_ptr<Device> device = choose_device(planned);
    const Dataset data = load_dataset(dataset_options(config));
    if (chooses && !subset) subset = choose(data);
    throw Error(out_of_memory_sentence(config, *device, data, subset ? &*subset : nullptr, error));
  }
}

}  // namespace tdds
