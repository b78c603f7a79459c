// tdds-train: trains a network on a whole data set and records every sample's training dynamics.

#include "apps/train/recorded_flags.h"
#include "apps/train/training_program.h"
#include "kernels/runtime/thread_waiting.h"

int main(int argc, char** argv) {
  tdds::wait_briefly_then_sleep(argv);
  tdds::TrainConfig config;
  tdds::FlagTable flags = training_flags(config);
  append(flags, dynamics_flags(config));
  append(flags, planning_flags(config));
  const tdds::ProgramInfo program{
      "tdds-train",
      "Trains a ResNet. With --dynamics it records how every training sample behaves from epoch to epoch; "
      "tdds-score computes scores from the recording.",
      R"(  tdds-train --dataset cifar100 --data_path ./data --download --dynamics \
      --save_path ./checkpoint/all-dataset
  tdds-train --dataset shapes --width 0.25 --epochs 10 --dynamics \
      --save_path ./runs/shapes
  tdds-train --dataset shapes --width 0.25 --epochs 60 --score tdds,el2n,dual \
      --stop_when_stable 0.99 --save_path ./runs/scored
  tdds-train --arch resnet50 --batch-size 256 --dry_run
)"};
  tdds::EarlierFlags earlier{.find = tdds::flags_of_run};
  return tdds::run_program(
      argc, argv, program, flags,
      [&] {
        tdds::check_online_score_flags(config.score);
        return tdds::run_training(program, config, flags, earlier);
      },
      &earlier);
}
