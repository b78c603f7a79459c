// tdds-report: what a run's dynamics, its scores and a sweep say, as one HTML file.

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "apps/cli.h"
#include "apps/dataset_flags.h"
#include "apps/report/page.h"
#include "engine/files.h"

namespace tdds {
namespace {

using report::ReportOptions;

void declare(CLI::App& app, ReportOptions& options) {
  app.add_option(
      "--dynamics_path", options.dynamics_path,
      "What tdds-train --dynamics wrote: its folder, dynamics.tdds, or the official .npy files. Without it, "
      "the first scoring run of --sweep.");
  app.add_option("--sweep", options.sweep_path,
                 "The sweep.json of tdds-sweep, for accuracy against pruning rate.");
  app.add_option("--output", options.output, "The HTML file to write.");
  app.add_option("--subset_rate", options.subset_rate,
                 "Pruning rate at which the class balance is shown: the share of the samples left out.");
  app.add_option("--images", options.images, "How many images a contact sheet has.");
  app.add_option(
         "--method", options.scores.methods,
         "Scoring methods, a list (tdds-score --list names them); without it, all that the recording allows. "
         "With --sweep their settings are the sweep's where they are not given here.")
      ->delimiter(',');
  app.add_option("--trajectory_len", options.scores.trajectory_lens,
                 "TDDS: T. Of a list, the first is shown and all are compared; chosen by the recorded epochs "
                 "if absent.")
      ->delimiter(',');
  app.add_option("--window_size", options.scores.window_sizes, "TDDS: J, likewise.")->delimiter(',');
  app.add_option("--decay", options.scores.decay,
                 "TDDS: the weight of the newest window in the moving average; 0.9 if not given.");
  app.add_option("--method_window", options.scores.method_window,
                 "The window J of the methods other than TDDS; 0: 10, or half of the recorded epochs.");
  app.add_option("--method_epochs", options.scores.method_epochs,
                 "How many epochs these methods use, from the first; 0: each method's own choice.");
  app.add_option("--dataset", options.data.name,
                 "The data set of the run, for the images: cifar10, cifar100, folder, npy or shapes. A run "
                 "on shapes needs no flag: "
                 "they are drawn again.");
  app.add_option("--data_path", options.data.data_path, "Its folder or archive, as for tdds-train.");
  app.add_option(
      "--manualSeed", options.data_seed,
      "The run's, by which images are drawn or held out; not given: the sweep's, or what was recorded.");
  app.add_option("--max_train_samples", options.data.max_train_samples, "As for tdds-train.");
  app.add_option("--val_fraction", options.data.val_fraction, "As for tdds-train.");
  declare_image_flags(app, options.data);
  app.add_option("--shapes_train", options.data.shapes_train,
                 "As for tdds-train; 0: as many as were recorded.");
  app.add_option("--wrong_label_fraction", options.data.wrong_label_fraction, "As for tdds-train.");
  app.add_option("--duplicate_fraction", options.data.duplicate_fraction, "As for tdds-train.");
}

int write_report(const ReportOptions& options) {
  const report::Subject subject(options);
  fmt::print("{}: {}\n", subject.source().path(), subject.source().description());
  for (const std::string& reason : subject.set().left_out) fmt::print("left out: {}\n", reason);
  if (!subject.no_images().empty()) fmt::print("no images: {}\n", subject.no_images());
  const std::string page = report_page(subject, options);
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
  return tdds::run_program(
      argc, argv, info, [&](CLI::App& app) { tdds::declare(app, options); },
      [&](const tdds::ResolvedOptions&) { return tdds::write_report(options); });
}
