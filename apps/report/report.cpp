// tdds-report: what a run's dynamics, its scores and a sweep say, as one HTML file.

#include <fmt/core.h>

#include "apps/cli/cli.h"
#include "apps/cli/dataset_flags.h"
#include "apps/report/page.h"
#include "apps/sweep/sweep_record.h"
#include "apps/train/recorded_flags.h"
#include "engine/io/files.h"
#include "kernels/runtime/thread_waiting.h"

namespace tdds {
namespace {

using report::ReportOptions;

FlagTable report_flags(ReportOptions& options) {
  FlagTable flags{{"dynamics_path", &options.dynamics_path,
                   "What tdds-train --dynamics wrote: its folder, dynamics.tdds, or the official .npy files. "
                   "Without it, the first scoring run of --sweep."}};
  append(flags, missing_visits_flags(options.missing));
  append(
      flags,
      {{"sweep", &options.sweep_path, "The sweep.json of tdds-sweep, for accuracy against pruning rate."},
       {"output", &options.output, "The HTML file to write."},
       {"subset_rate", &options.subset_rate,
        "Pruning rate at which the class balance is shown: the share of the samples left out."},
       {"images", &options.images, "How many images a contact sheet has."},
       {"method", &options.scores.methods,
        "Scoring methods, a list (tdds-score --list names them); without it, all that the recording allows. "
        "With --sweep their settings are the sweep's where they are not given here."},
       {"trajectory_len", &options.scores.trajectory_lens,
        "TDDS: T. Of a list, the first is shown and all are compared; chosen by the recorded epochs if "
        "absent."},
       {"window_size", &options.scores.window_sizes, "TDDS: J, likewise."},
       {"decay", &options.scores.decay,
        "TDDS: the weight of the newest window in the moving average; 0.9 if not given."},
       {"method_window", &options.scores.method_window,
        "The window J of the methods other than TDDS; 0: 10, or half of the recorded epochs."},
       {"method_epochs", &options.scores.method_epochs,
        "How many epochs these methods use, from the first; 0: each method's own choice."},
       {"manualSeed", &options.data_seed,
        "The run's, by which images are drawn or held out; not given: the sweep's, or what was recorded."}});
  for (Flag& flag : dataset_flags(options.data)) {
    if (flag.name == "dataset")
      flag.help =
          "The data set of the run, for the images. With --sweep the data flags are the sweep's where they "
          "are "
          "not given here, and a run on shapes needs none: they are drawn again. " +
          flag.help;
    if (flag.name == "shapes_train") flag.help += " 0: as many as were recorded.";
    flags.push_back(std::move(flag));
  }
  return flags;
}

// For EarlierFlags::find: what the sweep decided, of data and scores. Its --decay is that of the weights.
FlagTexts settings_of_sweep(const FlagTexts& given) {
  const std::string path = *find_text(given, "sweep");
  if (path.empty()) return {};
  FlagTexts settings = read_sweep(path).settings;
  drop_flags_of_one_start(settings);
  std::erase_if(settings, [](const auto& setting) { return setting.first == "decay"; });
  for (auto& [name, text] : settings)
    if (name == "score_decay") name = "decay";
  return settings;
}

int write_report(const ReportOptions& options) {
  const report::ReportInput input(options);
  fmt::print("{}: {}\n", input.source().path(), input.source().description());
  if (!input.set().missing_visits.empty()) fmt::print("{}\n", input.set().missing_visits);
  for (const std::string& reason : input.set().left_out) fmt::print("left out: {}\n", reason);
  if (input.data() != nullptr)
    for (const std::string& note : input.data()->notes) fmt::print("{}\n", note);
  if (!input.no_images().empty()) fmt::print("no images: {}\n", input.no_images());
  const std::string page = report_page(input, options);
  const auto folder = std::filesystem::path(options.output).parent_path();
  if (!folder.empty()) make_folder(folder);
  write_file_atomically(options.output, page);
  fmt::print("{} ({:.1f} MB): open it in a browser\n", options.output,
             static_cast<double>(page.size()) / 1e6);
  return 0;
}

}  // namespace
}  // namespace tdds

int main(int argc, char** argv) {
  tdds::wait_briefly_then_sleep(argv);
  tdds::report::ReportOptions options;
  options.data.data_path = "./data";
  options.data.shapes_train = 0;
  const tdds::ProgramInfo info{
      "tdds-report",
      "Writes what a run's training dynamics say as one HTML file that needs no network: scores, how the "
      "methods and "
      "the settings of TDDS agree, the data map, the images at the ends of each order, classes, suspected "
      "label "
      "errors, and the accuracies of a sweep.",
      "  tdds-report --dynamics_path runs/all\n"
      "  tdds-report --dynamics_path runs/all --dataset cifar100 --data_path ./data --subset_rate 0.7\n"
      "  tdds-report --sweep runs/sweep/sweep.json --output sweep.html\n"};
  tdds::EarlierFlags sweep{.find = tdds::settings_of_sweep};
  return tdds::run_program(
      argc, argv, info, tdds::report_flags(options),
      [&] {
        options.data_recorded = tdds::find_text(sweep.taken, "dataset") != nullptr;
        return tdds::write_report(options);
      },
      &sweep);
}
