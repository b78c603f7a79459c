// tdds-report: shows a run's dynamics, its scores and a sweep in one HTML file.

#include <fmt/core.h>

#include "apps/cli/cli.h"
#include "apps/cli/dataset_flags.h"
#include "apps/cli/output.h"
#include "apps/report/page.h"
#include "apps/sweep/sweep_record.h"
#include "apps/train/recorded_flags.h"
#include "engine/io/files.h"
#include "kernels/runtime/thread_waiting.h"

namespace tdds {
namespace {

using report::ReportOptions;

FlagTable page_flags(ReportOptions& options) {
  FlagTable flags{
      {"dynamics_path", &options.dynamics_path,
       "What tdds-train --dynamics wrote: its folder or dynamics.tdds. It may also be the folder of the "
       "official .npy files. Default: the first scoring run of --sweep."}};
  append(flags, advanced(missing_visits_flags(options.missing)));
  append(flags,
         {{"sweep", &options.sweep_path, "sweep.json of tdds-sweep: shows accuracy against pruning rate."},
          {"output", &options.output, "The HTML file to write."},
          {"subset_rate", &options.subset_rate,
           "Pruning rate for the class balance. It is the share of samples left out."},
          {"images", &options.images, "Number of images in a contact sheet."}});
  return grouped("Report", std::move(flags));
}

FlagTable scoring_flags(ReportOptions& options) {
  FlagTable flags{{"method", &options.scores.methods,
                   "Scoring methods, a list. `tdds-score --list` names them; the default is all that the "
                   "recording allows. With --sweep their settings are the sweep's unless given here."}};
  append(flags, advanced({{"trajectory_len", &options.scores.trajectory_lens,
                           "TDDS: T. The first of a list is shown, and all are compared; the default follows "
                           "the recorded epochs."},
                          {"window_size", &options.scores.window_sizes, "TDDS: J, as --trajectory_len."},
                          {"decay", &options.scores.decay,
                           "TDDS: weight of the newest window in the moving average. Default: 0.9."},
                          {"method_window", &options.scores.method_window,
                           "J of the other methods. 0 takes 10, or half of the recorded epochs."},
                          {"method_epochs", &options.scores.method_epochs,
                           "How many epochs the other methods use, from the first; 0 is each method's own "
                           "choice."}}));
  return grouped("Scoring", std::move(flags));
}

FlagTable report_flags(ReportOptions& options) {
  FlagTable flags = page_flags(options);
  append(flags, scoring_flags(options));
  for (Flag& flag : dataset_flags(options.data)) {
    if (flag.name == "dataset")
      flag.help =
          "The data set of the run, for its images. With --sweep the data flags are the sweep's unless given "
          "here. A run on shapes needs none. " +
          flag.help.substr(flag.help.find(". ") + 2);
    if (flag.name == "shapes_train") flag.help += " 0 takes as many as were recorded.";
    flags.push_back(std::move(flag));
  }
  append(flags,
         grouped("Data", advanced({{"manualSeed", &options.data_seed,
                                    "The run's seed, by which images are drawn or held out. Default: the "
                                    "sweep's, or the recorded one."}})));
  append(flags, config_flags(options.files));
  return flags;
}

// For EarlierFlags::find: the sweep's settings of data and scores. Its --decay, the weight decay, is dropped.
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
  print_out("{}: {}\n", input.source().path(), input.source().description());
  if (!input.set().missing_visits.empty()) print_out("{}\n", input.set().missing_visits);
  for (const std::string& reason : input.set().left_out) print_out("left out: {}\n", reason);
  if (input.data() != nullptr)
    for (const std::string& note : input.data()->notes) print_out("{}\n", note);
  if (!input.no_images().empty()) print_out("no images: {}\n", input.no_images());
  const std::string page = report_page(input, options);
  const auto folder = std::filesystem::path(options.output).parent_path();
  if (!folder.empty()) make_folder(folder);
  write_file_atomically(options.output, page);
  print_out("{} ({:.1f} MB): open it in a browser\n", options.output, static_cast<double>(page.size()) / 1e6);
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
      "Writes what a run's training dynamics say as one HTML file that needs no network: scores, how methods "
      "and the settings of TDDS agree, the data map, the images at the ends of each order, class balance, "
      "suspected label errors, and the accuracies of a sweep.",
      R"(  tdds-report --dynamics_path runs/all
  tdds-report --dynamics_path runs/all --dataset cifar100 --data_path ./data
  tdds-report --sweep runs/sweep/sweep.json --output sweep.html
)"};
  tdds::EarlierFlags sweep{.find = tdds::settings_of_sweep};
  return tdds::run_program(
      argc, argv, info, tdds::report_flags(options),
      [&] {
        options.data_recorded = tdds::find_text(sweep.taken, "dataset") != nullptr;
        return tdds::write_report(options);
      },
      &sweep);
}
