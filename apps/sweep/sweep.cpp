// tdds-sweep: the paper's experiment in one command: methods x pruning rates x seeds, and a table of the
// results.

#include "apps/sweep/sweep_record.h"
#include "apps/sweep/sweep_run.h"
#include "kernels/runtime/thread_waiting.h"

int main(int argc, char** argv) {
  tdds::wait_briefly_then_sleep(argv);
  tdds::SweepFlags flags;
  tdds::TrainConfig config;
  config.save_path = "./checkpoint/sweep";
  const tdds::FlagTable table = sweep_flags(flags, config);
  const tdds::ProgramInfo program{
      "tdds-sweep",
      "Compares pruning methods. For every seed it trains a ResNet on all samples, scores them by every "
      "method, and trains again on what each method keeps at each rate. It ends in a table of test "
      "accuracies, mean and deviation over the seeds. A stopped sweep continues by the same command.",
      R"(  tdds-sweep --dataset cifar100 --data_path ./data --download \
      --methods tdds,random,el2n,ccs --rates 0.3,0.5,0.7 --seeds 1,2,3 \
      --save_path ./runs/sweep
  tdds-sweep --dataset shapes --shapes_train 4000 --width 0.25 --epochs 8 \
      --batch-size 50 --methods every --rates 0.3,0.5,0.7 \
      --save_path ./runs/shapes
)"};
  tdds::EarlierFlags earlier{.find = tdds::flags_of_sweep};
  return tdds::run_program(
      argc, argv, program, table,
      [&] {
        tdds::settle_batches(flags, config);
        return tdds::run_sweep(program, flags, config, table, earlier);
      },
      &earlier);
}
