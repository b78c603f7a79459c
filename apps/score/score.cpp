// tdds-score: from recorded training dynamics to scores, the pruning order and the kept samples
// (official importance_evaluation.py, with its flags).

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <optional>

#include "apps/cli/cli.h"
#include "apps/cli/output.h"
#include "apps/score/score_run.h"
#include "apps/score/subset_export.h"
#include "engine/io/files.h"
#include "kernels/runtime/thread_waiting.h"

namespace tdds {
namespace {

FlagTable input_flags(ScoreOptions& options) {
  FlagTable flags{
      {"dynamics_path", &options.dynamics_path,
       "What tdds-train --dynamics wrote: its folder or dynamics.tdds. It may also be the folder of the "
       "official .npy files."}};
  append(flags, advanced(missing_visits_flags(options.missing)));
  append(flags, {{"mask_path", &options.mask_path, "Folder for masks and scores. It is made if absent."},
                 {"list", &options.list, "Describe every method and exit."}});
  return grouped("Dynamics", std::move(flags));
}

FlagTable scoring_flags(ScoreOptions& options) {
  FlagTable flags{{"method", &options.methods, "Scoring methods, a list; --list names them."},
                  {"trajectory_len", &options.trajectory_lens,
                   "TDDS: T, the epochs used, from the first. A list (10,20,30) gives a mask for each."},
                  {"window_size", &options.window_sizes,
                   "TDDS: J, the epochs in a window. 3 <= J <= T; it may be a list."},
                  {"decay", &options.decay,
                   "TDDS: weight of the newest window, 0 to 1. The score is a moving average of windows."}};
  append(flags,
         advanced({{"method_epochs", &options.method.epochs,
                    "How many epochs the other methods use, from the first; 0 is each method's own choice."},
                   {"method_window", &options.method.window_size,
                    fmt::format("J of {}.", names_of(has_windows))}}));
  return grouped("Scoring", std::move(flags));
}

FlagTable selection_flags(ScoreOptions& options) {
  FlagTable flags{
      {"subset_rate", &options.subset_rate,
       "Pruning rate: also write the kept ids. It is the share of samples left out."},
      {"keep", &options.keep, "In place of --subset_rate, what to keep: a share or a number of samples."},
      {"selection", word_choice(options.selection, selection_names()),
       "How the kept samples are chosen. top and bottom: the highest and lowest scores. balanced: the "
       "highest of each class, at least one. ccs: evenly over strata of the score, without the hardest by "
       "aum. beta: drawn with DUAL's Beta weights."}};
  append(
      flags,
      advanced({{"ccs_beta", &options.ccs.beta, "ccs: share of the samples dropped as the hardest."},
                {"ccs_strata", &options.ccs.strata, "ccs: number of strata."},
                {"beta_c", &options.beta_c, "beta: the exponent c. 4 for CIFAR-100, 5.5 for CIFAR-10."},
                {"format", &options.formats, "Forms of the kept ids, a list of npy, txt, csv and json."},
                {"export", &options.exports,
                 "Also write the kept files of a folder data set, for other frameworks. A list of: list, a "
                 "path a line; csv with id, path, label, class and score; links, folders of symbolic links, "
                 "train/<class>/<file>."},
                {"export_dir", &options.export_dir, "Folder for what --export writes. It is made if absent."},
                {"data_path", &options.data_path,
                 "For --export: where the data set is now, if it was moved since the training."},
                {"manualSeed", &options.seed,
                 "Seed of random, ccs and beta. Default: the recorded run's, so that random is the one that "
                 "tdds-train --score writes; 42 for official files."}}));
  return grouped("Selection", std::move(flags));
}

FlagTable score_flags(ScoreOptions& options) {
  FlagTable flags = input_flags(options);
  append(flags, scoring_flags(options));
  append(flags, selection_flags(options));
  append(flags, grouped("Device",
                        advanced({{"device", choice(options.device, kDeviceKinds),
                                   "Where TDDS's windows are computed and scores are sorted."},
                                  {"gpu", &options.gpu, "Number of the GPU to use, in the driver's order."},
                                  {"threads", &options.threads, "CPU threads; 0 uses one per core."}})));
  append(flags, config_flags(options.files));
  return flags;
}

void print_methods() {
  for (const Method* method : all_methods())
    print_out("{}\n  score   {}\n  kept    {}\n  source  {}\n", method->name, method->score, method->kept,
              method->source);
}

void explain(std::int64_t samples, double rate, const std::string& selection) {
  const std::int64_t pruned = pruned_count(rate, samples);
  const bool top = selection == "top";
  print_out(
      "Direction: a mask lists the samples by ascending score; {}{} are kept.\n"
      "Rate: --subset_rate is the share that is pruned: {} drops the first {} of {} samples of the mask{} "
      "and trains on the other {}.\n",
      top ? "" : fmt::format("here, by --selection {}, ", selection), kept_by(selection), rate, pruned,
      samples, top ? "" : " of the selection", samples - pruned);
}

template <class T>
void check_distinct(const std::vector<T>& values, const char* flag) {
  for (const T& value : values)
    check_usage(std::count(values.begin(), values.end(), value) == 1, "{} names {} twice", flag, value);
}

// Equal entries would write the same files.
void check_lists(const ScoreOptions& options) {
  check_distinct(options.methods, "--method");
  check_distinct(options.trajectory_lens, "--trajectory_len");
  check_distinct(options.window_sizes, "--window_size");
}

int score(ScoreOptions& options) {
  if (options.list) {
    print_methods();
    return 0;
  }
  const bool select_too = selects(options);
  check_lists(options);
  check_method_options(options.method);
  check_usage(options.threads >= 0, "--threads is {}; give 0 or more", options.threads);
  if (options.threads > 0) omp_set_num_threads(options.threads);
  check_formats(options.formats);
  check_exports(options, select_too);
  check_usage(options.gpu == 0 || options.device == DeviceKind::kCuda,
              "--gpu {} chooses a GPU, and --device is {}; leave it out", options.gpu,
              to_string(options.device));
  const auto device = make_device(options.device, {.ordinal = options.gpu});
  const DynamicsSource source(options.dynamics_path, rule_of(options.missing));
  options.method.seed =
      options.seed.value_or(source.store() ? source.store()->header().seed : options.method.seed);
  print_out("{}: {}\n", source.path(), source.description());
  if (source.store() && !source.store()->torn_end().empty())
    print_out("{}; it is left out\n", source.store()->torn_end());
  while (options.mask_path.size() > 1 && options.mask_path.back() == '/') options.mask_path.pop_back();

  const std::vector<ScoredMethod> scored = run_methods(options, source, *device);
  const auto samples = static_cast<std::int64_t>(scored.front().score.size());
  const SampleIds sample_ids(source.path(), samples);
  auto provenance = provenance_of(source, samples);
  if (!sample_ids.path().empty()) provenance["train_ids"] = sample_ids.path();
  std::vector<Selection> selections;
  for (const ScoredMethod& method : scored)
    if (select_too) selections.push_back(select(method, options, &source));
  std::optional<SubsetExporter> exporter;
  if (!options.exports.empty()) exporter.emplace(options, source, sample_ids);
  for (std::size_t i = 0; exporter && i < scored.size(); ++i) exporter->check_free(scored[i], selections[i]);
  make_folder(options.mask_path);
  const DynamicsHeader none;
  const DynamicsHeader& header = source.store() ? source.store()->header() : none;
  for (std::size_t i = 0; i < scored.size(); ++i) {
    print_out("{}", write_scores(scored[i], provenance, device.get()));
    if (select_too)
      write_selection(options.mask_path, scored[i], selections[i], options.formats, provenance, header.labels,
                      header.classes, sample_ids);
    if (exporter) exporter->write(scored[i], selections[i]);
  }
  if (!sample_ids.path().empty())
    print_out(
        "Ids: a mask numbers the {} samples of the run; kept ids and exports number those of the whole data "
        "set, by {}.\n",
        samples, sample_ids.path());
  explain(samples, select_too ? pruning_rate(options, samples) : 0.9, options.selection);
  return 0;
}

}  // namespace
}  // namespace tdds

int main(int argc, char** argv) {
  tdds::wait_briefly_then_sleep(argv);
  tdds::ScoreOptions options;
  const tdds::ProgramInfo info{
      "tdds-score",
      "Scores every training sample from its recorded dynamics, by TDDS (CVPR 2024) or another method, and "
      "writes the order in which samples are pruned.",
      R"(  tdds-score --dynamics_path ./checkpoint/all-dataset \
      --mask_path ./checkpoint/masks --trajectory_len 90 --window_size 10
  tdds-score --dynamics_path run --mask_path masks --trajectory_len 10,20,30
  tdds-score --dynamics_path run --mask_path masks --method tdds,el2n,dual \
      --subset_rate 0.7 --export csv,links --export_dir kept
)"};
  return tdds::run_program(argc, argv, info, tdds::score_flags(options),
                           [&] { return tdds::score(options); });
}
