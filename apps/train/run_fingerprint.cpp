#include "apps/train/run_fingerprint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "engine/io/hash.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

const char* yes_or_no(bool value) {
  return value ? "yes" : "no";
}

// Hashes the rows and their weights, because different masks of equal length are different runs.
std::string subset_hash(const SubsetChoice* subset) {
  if (subset == nullptr) return "all";
  Hash hash(HashKind::kSha256);
  hash.add(subset->ids.data(), subset->ids.size() * sizeof(subset->ids[0]));
  hash.add(subset->weights.data(), subset->weights.size() * sizeof(float));
  return hash.hex().substr(0, 16);
}

std::string dynamics_text(const TrainConfig& config) {
  std::vector<const char*> fields;
  for (const DynamicsField field : recorded_fields(config)) fields.push_back(to_string(field));
  return fmt::format("{}", fmt::join(fields, ","));
}

std::string manifest_text(const Manifest& manifest, const ImageSet& set, bool exif_rotate) {
  if (manifest.empty()) return "";
  return fmt::format("{} {}x{}{}", manifest.hash(), set.height, set.width, exif_rotate ? " upright" : "");
}

struct SetKeys {
  const char *fingerprint, *manifest, *name;
};
constexpr SetKeys kSets[] = {{"fingerprint", "manifest", "training set"},
                             {"test_fingerprint", "test_manifest", "test set"},
                             {"validation_fingerprint", "validation_manifest", "held-out images"}};

bool is_of_images(const std::string& key) {
  return std::any_of(std::begin(kSets), std::end(kSets),
                     [&](const SetKeys& set) { return key == set.fingerprint || key == set.manifest; });
}

const std::string& value_of(const RunFingerprint& fingerprint, const char* key) {
  static const std::string kNone;
  const auto found = fingerprint.find(key);
  return found == fingerprint.end() ? kNone : found->second;
}

// Numbers of runs that did not record theirs are 1.
std::string number_of(const RunFingerprint& recorded, const char* key) {
  return recorded.contains(key) ? value_of(recorded, key) : "1";
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// Keys of the length of the run, on which the learning rates of the cosine schedule depend.
bool is_length(const std::string& key) {
  return key == "epochs" || key == "t_max";
}

// If so, the run may be made longer.
bool steps_do_not_depend_on_epochs(const RunFingerprint& run) {
  return value_of(run, "schedule").starts_with(to_string(Decay::kStep));
}

void check_same_epochs(const RunFingerprint& recorded, const RunFingerprint& now, const std::string& path) {
  const std::string &before = value_of(recorded, "epochs"), &here = value_of(now, "epochs");
  check(before.empty() || before == here,
        "{} is of a run of {} epochs, and this one has {}: the cosine schedule spreads the learning rate "
        "over all epochs, so the two differ from the first step on; give --epochs {}, or start over with "
        "--overwrite (a run with --schedule step can be made longer)",
        path, before, here, before);
}

// The plans of a CPU follow from its instructions and oneDNN's version; those of a GPU are kept with the
// checkpoint.
std::string compare_plans(const std::string& before, const std::string& now, bool on_gpu,
                          const std::string& path) {
  if (before == now) return "";
  check(!on_gpu,
        "{} needs convolution plans of its GPU that are not available here ('{}'; here '{}'): resume it on "
        "that GPU with that cuDNN, or start over with --overwrite",
        path, first_line(before), first_line(now));
  return fmt::format(
      "{} was made with other convolution code (another CPU or version of oneDNN): from here on the last "
      "bits may differ from those of a run that stayed there",
      path);
}

constexpr const char *kArithmetic = "gpu_arithmetic", *kRanks = "ranks";

// Sums and batch norm's statistics are those of each rank's slice. Checkpoints of one process need not record
// it.
std::string compare_ranks(const RunFingerprint& recorded, const RunFingerprint& now,
                          const std::string& path) {
  const std::string before = number_of(recorded, kRanks), &here = value_of(now, kRanks);
  if (before == here) return "";
  return fmt::format(
      "{} was made by {} rank(s), and this run has {}: from here on the results differ from those of a run "
      "that kept their number",
      path, before, here);
}

// Checkpoints of the first GPU kernels do not record it.
std::string compare_arithmetic(const RunFingerprint& recorded, const RunFingerprint& now,
                               const std::string& path) {
  const std::string before = number_of(recorded, kArithmetic), &here = value_of(now, kArithmetic);
  if (here.empty() || here == before) return "";
  return fmt::format(
      "{} was made with other GPU kernels (number {}; here {}): from here on the last bits may differ from "
      "those of a run that stayed there",
      path, before, here);
}

}  // namespace

RunFingerprint data_fingerprint(const TrainConfig& config, const Dataset& data) {
  const bool upright = config.data.exif_rotate;
  const ImageSet& held_out = data.validation ? *data.validation : data.test;
  return {{"fingerprint", data.fingerprint},
          {"manifest", manifest_text(data.manifest, data.train, upright)},
          {"test_fingerprint", data.test_fingerprint},
          {"test_manifest", manifest_text(data.test_manifest, data.test, upright)},
          {"validation_fingerprint", data.validation_fingerprint},
          {"validation_manifest", manifest_text(data.validation_manifest, held_out, upright)}};
}

void check_same_images(const RunFingerprint& recorded, const RunFingerprint& now, const std::string& path,
                       std::vector<std::string>& untold) {
  for (const SetKeys& set : kSets) {
    const std::string &before = value_of(recorded, set.fingerprint), &here = value_of(now, set.fingerprint),
                      &files = value_of(recorded, set.manifest);
    if (recorded.find(set.fingerprint) == recorded.end()) {
      if (!here.empty()) untold.emplace_back(set.name);
      continue;
    }
    check(before == here || (!files.empty() && files == value_of(now, set.manifest)),
          "{} was made with another {} (fingerprint '{:.16}') than the one given now ('{:.16}'); give the "
          "same data, start over with --overwrite, or choose another --save_path",
          path, set.name, before, here);
  }
}

std::optional<std::string> value_before(const std::string& key) {
  static const std::map<std::string, std::string> kBefore{
      {"conv_algo", "direct"},  {"stem", "cifar"},   {"schedule", "cosine, warm-up 0, step 30 x 0.1"},
      {"label_smoothing", "0"}, {"accumulate", "1"}, {"sync_batchnorm", "false"}};
  const auto found = kBefore.find(key);
  return found == kBefore.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> check_same_run(const RunFingerprint& recorded, const RunFingerprint& now,
                                        const std::string& path) {
  std::vector<std::string> untold, assumed, notes;
  const auto compare = [&](const std::string& option) {
    const auto found = recorded.find(option);
    const std::optional<std::string> before =
        found != recorded.end() ? std::optional(found->second) : value_before(option);
    check(!before || *before == now.at(option),
          "{} was made with {} '{}', and this run has '{}'; give the same options, or start over with "
          "--overwrite",
          path, option, before.value_or(""), now.at(option));
    if (!before) untold.push_back(option);
    if (before && found == recorded.end()) assumed.push_back(fmt::format("{} {}", option, *before));
  };
  compare("dataset");  // first, because other differences follow from it
  check_same_images(recorded, now, path, untold);
  const bool may_grow = steps_do_not_depend_on_epochs(now);
  if (!may_grow) check_same_epochs(recorded, now, path);
  for (const auto& option : now)
    if (option.first != "dataset" && option.first != "plans" && option.first != kArithmetic &&
        option.first != kRanks && !is_of_images(option.first) && !(may_grow && is_length(option.first)))
      compare(option.first);
  notes.push_back(compare_ranks(recorded, now, path));
  // Ranks convolve slices of the batch, for which other plans are the best.
  const bool on_gpu = now.at("device") == to_string(DeviceKind::kCuda) && notes.back().empty();
  notes.push_back(compare_plans(value_of(recorded, "plans"), now.at("plans"), on_gpu, path));
  notes.push_back(compare_arithmetic(recorded, now, path));
  std::erase(notes, "");
  if (!assumed.empty())
    notes.push_back(
        fmt::format("{} was made before these settings existed, and keeps the values of that time: {}", path,
                    fmt::join(assumed, ", ")));
  if (!untold.empty())
    notes.push_back(fmt::format(
        "{} is from an older version, which did not record these; they are assumed to be the same: {}", path,
        fmt::join(untold, ", ")));
  return notes;
}

FlagTexts made_choices(const TrainConfig& config, const TrainingSetup& setup) {
  FlagTexts choices{{"device", to_string(setup.device().kind())},
                    {"precision", to_string(setup.precision_kind())},
                    {"stem", to_string(setup.stem())},
                    {"crop_size", std::to_string(setup.net_size())}};
  if (!config.no_augment) choices.emplace_back("crop", to_string(setup.crop()));
  return choices;
}

FlagTexts automatic_choices(const TrainConfig& config, const TrainingSetup& setup) {
  return {{"device", to_string(config.ngpu ? best_device() : DeviceKind::kCpu)},
          {"precision", to_string(default_precision(setup.device().kind()))},
          {"stem", to_string(setup.automatic_stem())},
          {"crop", setup.stem() == Stem::kImageNet ? "resized" : "padded"},
          {"crop_size", std::to_string(setup.automatic_size())}};
}

FlagTexts with_choices(FlagTexts flags, const FlagTexts& choices) {
  for (auto& [flag, value] : flags)
    for (const auto& [chosen, made] : choices)
      if (flag == chosen) value = made;
  return flags;
}

RunFingerprint run_fingerprint(const TrainConfig& config, const TrainingSetup& setup, const Trainer& trainer,
                               const SubsetChoice* subset) {
  const TrainOptions& o = trainer.options();
  const Dataset& data = setup.data();
  RunFingerprint fingerprint = data_fingerprint(config, data);
  TrainConfig settled = config;
  settled.precision = setup.precision_kind();
  const FlagTable flags = training_flags(settled);
  for (const char* name : kFingerprintFlags) fingerprint[name] = find_flag(flags, name)->variable.get();
  fingerprint.merge(RunFingerprint{
      {"dataset", data.name},
      {"samples", std::to_string(trainer.samples())},
      {"subset", subset_hash(subset)},
      {"normalisation", fmt::format("{} {}", fmt::join(data.mean, ","), fmt::join(data.std, ","))},
      {"stem", to_string(setup.stem())},
      {"t_max", fmt::format("{}", o.t_max)},
      {"schedule", fmt::format("{}, warm-up {}, step {} x {}", to_string(o.schedule.decay),
                               o.schedule.warmup_epochs, o.schedule.step_epochs, o.schedule.gamma)},
      {"seed", std::to_string(o.seed)},
      {"crop", fmt::format("{} to {}", to_string(o.crop), setup.net_size())},
      {"shuffle", yes_or_no(o.shuffle)},
      {"dynamics", o.dynamics ? dynamics_text(config) : "no"},
      {"dynamics_npy", yes_or_no(o.visit_logits)},
      {"weighted", yes_or_no(!o.weights.empty())},
      {"device", to_string(setup.device().kind())},
      {"plans", to_string(trainer.plans())}});
  fingerprint[kRanks] = std::to_string(setup.ranks());
  if (setup.device().kind() != DeviceKind::kCpu) fingerprint[kArithmetic] = std::to_string(kGpuArithmetic);
  return fingerprint;
}

}  // namespace tdds
