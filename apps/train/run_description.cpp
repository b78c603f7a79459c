#include "apps/train/run_description.h"

#include "kernels/numerics/mib.h"

namespace tdds {
namespace {

void tell_steps(RunLog& log, const RunRequest& request, const Trainer& trainer) {
  const std::int64_t steps = trainer.steps_per_epoch(), all = steps * request.config.train.epochs;
  log.say(fmt::format("{} images in steps of {}: {} steps an epoch, {} in all", trainer.samples(),
                      trainer.options().batch, steps, all));
  if (!request.subset) return;
  if (const std::string warning = few_steps_warning(all); !warning.empty()) log.say(warning);
}

}  // namespace

void describe_run(RunLog& log, const RunRequest& request, TrainingSetup& setup, const Trainer* trainer,
                  const std::vector<std::string>& resume_notes) {
  const TrainConfig& config = request.config;
  const Dataset& data = setup.data();
  const Device& device = setup.device();
  Net& net = setup.net();
  log.say(fmt::format("{}: {} training images, {} test images, {} classes", data.name, data.train.count(),
                      data.test.count(), data.classes));
  for (const std::string& note : request.notes) log.say(note);
  for (const std::string& note : resume_notes) log.say("note: " + note);
  for (const std::string& note : data.notes) log.say(note);
  for (const std::string& note : device.notes()) log.say("note: " + note);
  if (request.subset)
    for (const std::string& note : request.subset->notes) log.say(note);
  log.say(fmt::format("{}, width {}: {} parameters, {:.1f} MFLOP an image forward, {} on {}", config.arch,
                      config.width, net.params().trainable(), 2e-6 * net.forward_macs(),
                      to_string(setup.precision_kind()), device.description()));
  if (!config.precision && device.kind() == DeviceKind::kCuda)
    log.say("note: auto chose tf32; on an H100, --precision fp16 was 1.8 times as fast");
  if (!trainer) return;
  log.say(
      fmt::format("memory: parameters {:.1f} MiB, activations {:.1f}, scratch {:.1f}, training state {:.1f}",
                  mib(net.params().bytes()), mib(setup.pool().saved_bytes()),
                  mib(setup.pool().scratch_bytes()), mib(trainer->state_bytes())));
  log.note(to_string(trainer->plans()));
  tell_steps(log, request, *trainer);
}

}  // namespace tdds
