// tdds-train: trains a network on a whole data set and records every sample's training dynamics.

#include "apps/training_run.h"

int main(int argc, char** argv) {
  tdds::TrainingFlags flags;
  const tdds::ProgramInfo program{
      "tdds-train",
      "Trains a ResNet and, with --dynamics, records how every training sample behaves from epoch to epoch, "
      "from which "
      "tdds-score computes scores.",
      "  tdds-train --dataset cifar100 --data_path ./data --arch resnet18 --epochs 200 --batch-size 100 "
      "--dynamics "
      "--save_path ./checkpoint/all-dataset\n"
      "  tdds-train --dataset shapes --width 0.25 --epochs 10 --dynamics --save_path ./runs/shapes\n"
      "  tdds-train --arch resnet50 --batch-size 256 --precision fp16 --dry_run --target sm_90\n"
      "  tdds-train --dataset shapes --width 0.25 --epochs 60 --score tdds,el2n,dual --stop_when_stable 0.99 "
      "--save_path ./runs/scored\n"};
  return tdds::run_program(
      argc, argv, program,
      [&](CLI::App& app) {
        tdds::declare_training_flags(app, flags);
        tdds::declare_dynamics_flags(app, flags);
        tdds::declare_planning_flags(app, flags);
      },
      [&](const tdds::ResolvedOptions& resolved) {
        tdds::check_live_score_flags(flags.score);
        return tdds::run_training(program, flags, resolved);
      });
}
