#include "python/src/recording.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "engine/io/files.h"
#include "engine/io/safetensors.h"
#include "kernels/ops/softmax_kl.h"
#include "kernels/runtime/check.h"

namespace tdds::python {
namespace {

constexpr const char* kDataset = "tdds.Recorder";
constexpr std::uint64_t kSeed = 42;  // of later draws from the scores; that of the training is not known
constexpr const char* kEpochs = "epochs";
constexpr const char* kPrevLogp = "prev_logp";
constexpr float kNeverVisited = std::numeric_limits<float>::quiet_NaN();

bool is_unlabelled_field(DynamicsField field) {
  return field == DynamicsField::kAbsKl || field == DynamicsField::kSignedKl ||
         field == DynamicsField::kEntropy;
}

// A sample before its first visit: a uniform prediction, counted as wrong.
EpochDynamics unvisited(std::int64_t samples, std::int32_t classes) {
  EpochDynamics values(samples);
  const double k = classes;
  std::fill(values.loss.begin(), values.loss.end(), static_cast<float>(std::log(k)));
  std::fill(values.log_other.begin(), values.log_other.end(), static_cast<float>(-std::log(k)));
  std::fill(values.entropy.begin(), values.entropy.end(), static_cast<float>(std::log(k)));
  std::fill(values.el2n.begin(), values.el2n.end(), static_cast<float>(std::sqrt(1 - 1 / k)));
  return values;
}

std::int32_t epochs_in(const SafetensorsFile& file) {
  const auto found = file.metadata().find(kEpochs);
  std::int32_t epochs = -1;
  if (found != file.metadata().end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), epochs);
  check(epochs >= 0, "{} does not say after how many epochs it was saved; remove it and the recording",
        file.path().string());
  return epochs;
}

void check_label(std::int64_t label, std::int64_t id, std::int32_t classes) {
  check_usage(label >= 0 && label < classes,
              "sample {} has the label {}; with {} classes the labels are 0 to {}", id, label, classes,
              classes - 1);
}

}  // namespace

Recording::Recording(std::filesystem::path path, std::int64_t samples, std::int32_t classes,
                     const Labels& labels, std::string fingerprint, bool resumable)
    : path_(std::move(path)),
      samples_(samples),
      classes_(classes),
      fingerprint_(std::move(fingerprint)),
      resumable_(resumable) {
  check_usage(samples >= 1 && samples <= std::numeric_limits<std::int32_t>::max(),
              "`samples` is {}; give the number of training samples, 1 to 2147483647", samples);
  check_usage(classes >= 2, "`classes` is {}; give at least 2", classes);
  check_usage(path_.has_filename() && !std::filesystem::is_directory(path_),
              "{} is a folder; give the path of the recording, such as run/dynamics.tdds", path_.string());
  labels_.assign(static_cast<std::size_t>(samples), -1);
  if (labels) {
    check_usage(static_cast<std::int64_t>(labels->size()) == samples, "there are {} labels for {} samples",
                labels->size(), samples);
    for (std::size_t i = 0; i < labels->size(); ++i) {
      check_label((*labels)[i], static_cast<std::int64_t>(i), classes);
      labels_[i] = static_cast<std::int32_t>((*labels)[i]);
    }
    rule_ = LabelRule::kAllKnown;
  }
  make_folder(std::filesystem::absolute(path_).parent_path());
  lock_.emplace(path_.string() + ".lock");
  check(lock_->held(), "{} is recording to {}: close that Recorder, or choose another path", lock_->holder(),
        path_.string());
  device_ = make_device(DeviceKind::kCpu);
  stream_ = device_->make_stream();
  visited_.resize(static_cast<std::size_t>(samples));
  prev_logp_.assign(static_cast<std::size_t>(samples * classes), kNeverVisited);
  const bool continues = std::filesystem::exists(resume_path());
  check(
      resumable_ || !continues,
      "{} belongs to a recording that can be continued: continue it, remove it and the recording, or choose "
      "another path",
      resume_path().string());
  if (continues)
    continue_after(epochs_in(SafetensorsFile(resume_path())));
  else
    start_over();
}

std::filesystem::path Recording::resume_path() const {
  return path_.string() + ".resume.safetensors";
}

DynamicsHeader Recording::header() const {
  DynamicsHeader header;
  header.samples = samples_;
  header.classes = classes_;
  header.dataset = kDataset;
  header.fingerprint = fingerprint_;
  header.seed = kSeed;
  if (rule_ != LabelRule::kNone)
    header.labels = labels_;
  else
    std::erase_if(header.fields, [](DynamicsField field) { return !is_unlabelled_field(field); });
  return header;
}

void Recording::start_over() {
  check(!std::filesystem::exists(path_),
        "{} exists, but {}, with which a Recorder continues it, does not: remove it or choose another path",
        path_.string(), resume_path().string());
  values_ = unvisited(samples_, classes_);
}

void Recording::continue_after(std::int32_t epochs) {
  // Killed while the first epoch was written.
  values_ = unvisited(samples_, classes_);
  if (epochs == 0) return;
  const DynamicsReader store(path_.string());
  const DynamicsHeader& stored = store.header();
  const auto check_same = [&](bool same, const char* what) {
    check(same, "{} was recorded with other {}; continue it as it was started, or choose another path",
          path_.string(), what);
  };
  check_same(stored.dataset == kDataset && stored.fingerprint == fingerprint_, "data (`fingerprint`)");
  check_same(stored.samples == samples_ && stored.classes == classes_, "`samples` or `classes`");
  check_same(rule_ == LabelRule::kUndecided || stored.labels == labels_, "`labels`");
  check(store.epochs() >= epochs, "{} holds {} epochs, but {} was saved after {}; restore the recording",
        path_.string(), store.epochs(), resume_path().string(), epochs);
  rule_ = stored.labels.empty() ? LabelRule::kNone : LabelRule::kAllKnown;
  if (!stored.labels.empty()) labels_ = stored.labels;

  const SafetensorsFile file(resume_path());
  file.read(kPrevLogp, DType::kF32, std::array{samples_, std::int64_t{classes_}}, prev_logp_.data());
  const auto take = [&](std::vector<float>& to, DynamicsField field) {
    if (store.has(field)) std::copy_n(store.values(field, epochs - 1), to.size(), to.begin());
  };
  take(values_.loss, DynamicsField::kLoss);
  take(values_.log_other, DynamicsField::kLogOther);
  take(values_.entropy, DynamicsField::kEntropy);
  take(values_.el2n, DynamicsField::kEl2n);
  if (store.has(DynamicsField::kCorrect))
    std::copy_n(store.correct(epochs - 1), values_.correct.size(), values_.correct.begin());
  epoch_ = epochs;
  writer_.emplace(path_.string(), header(), epochs);
}

void Recording::save(std::int32_t epochs) const {
  if (!resumable_) return;
  std::vector<NamedTensor> tensors;
  if (epochs > 0) tensors.push_back({kPrevLogp, DType::kF32, {samples_, classes_}, prev_logp_.data()});
  write_safetensors(resume_path(), tensors, {{kEpochs, std::to_string(epochs)}});
}

void Recording::check_epoch(std::optional<std::int64_t> epoch) const {
  check_usage(!epoch || *epoch == epoch_, "{} is at epoch {}, not {}; continue from there", path_.string(),
              epoch_, epoch.value_or(0));
}

Recording::LabelRule Recording::checked_labels(std::span<const std::int64_t> ids,
                                               const Labels& labels) const {
  if (!labels) {
    check_usage(
        rule_ != LabelRule::kWithUpdates,
        "this update has no labels, but earlier ones had; give them to every update or to the Recorder");
    return rule_ == LabelRule::kUndecided ? LabelRule::kNone : rule_;
  }
  check_usage(
      rule_ != LabelRule::kNone,
      "this update has labels, but the recording was started without; give them to every update or to "
      "the Recorder");
  check_usage(labels->size() == ids.size(), "there are {} labels for {} ids", labels->size(), ids.size());
  std::unordered_map<std::int64_t, std::int64_t> known;
  for (std::size_t row = 0; row < ids.size(); ++row) {
    const std::int64_t id = ids[row], label = (*labels)[row];
    check_label(label, id, classes_);
    const std::int32_t before = labels_[static_cast<std::size_t>(id)];
    const std::int64_t expected = before >= 0 ? before : known.emplace(id, label).first->second;
    check_usage(expected == label,
                "sample {} has the label {}, but had {} before; a label must not change during a recording",
                id, label, expected);
  }
  return rule_ == LabelRule::kUndecided ? LabelRule::kWithUpdates : rule_;
}

void Recording::update(std::span<const std::int64_t> ids, std::span<const float> logits, const Labels& labels,
                       std::optional<std::int64_t> epoch) {
  check_epoch(epoch);
  const auto classes = static_cast<std::size_t>(classes_);
  check_usage(logits.size() == ids.size() * classes, "there are {} ids for {} rows of logits", ids.size(),
              logits.size() / classes);
  for (const std::int64_t id : ids)
    check_usage(id >= 0 && id < samples_, "there is no sample {}; with {} samples the ids are 0 to {}", id,
                samples_, samples_ - 1);
  const auto bad = std::find_if_not(logits.begin(), logits.end(), [](float z) { return std::isfinite(z); });
  const auto row = static_cast<std::size_t>(bad - logits.begin()) / classes;
  check_usage(
      bad == logits.end(),
      "a logit of sample {} (row {}) is not finite; training has failed there: lower the learning rate",
      row < ids.size() ? ids[row] : 0, row);
  rule_ = checked_labels(ids, labels);

  std::vector<std::int32_t> first_visits;
  std::vector<float> rows;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = static_cast<std::size_t>(ids[i]);
    if (labels) labels_[id] = static_cast<std::int32_t>((*labels)[i]);
    if (visited_[id]) continue;
    visited_[id] = true;
    first_visits.push_back(static_cast<std::int32_t>(id));
    rows.insert(rows.end(), logits.begin() + i * classes, logits.begin() + (i + 1) * classes);
  }
  if (first_visits.empty()) return;
  visit(first_visits, rows.data());
  visits_ += static_cast<std::int64_t>(first_visits.size());
}

void Recording::visit(std::span<const std::int32_t> ids, const float* logits) {
  std::vector<std::int32_t> without_previous;
  for (const std::int32_t id : ids)
    if (std::isnan(prev_logp_[static_cast<std::size_t>(id) * static_cast<std::size_t>(classes_)]))
      without_previous.push_back(id);
  // The op reads a label of every sample; without labels, it writes nothing that depends on it.
  const bool labelled = rule_ != LabelRule::kNone;
  const std::vector<std::int32_t> zeros(labelled ? 0 : labels_.size());
  StepState state{};
  state.epoch = 1;  // every sample has a previous visit, except those corrected below
  DynamicsView out{
      .kl = values_.kl.data(), .true_kl = values_.true_kl.data(), .entropy = values_.entropy.data()};
  if (labelled) {
    out.loss = values_.loss.data();
    out.log_other = values_.log_other.data();
    out.el2n = values_.el2n.data();
    out.correct = values_.correct.data();
  }
  softmax_kl(*stream_, {.logits = logits,
                        .labels = labelled ? labels_.data() : zeros.data(),
                        .order = ids.data(),
                        .state = &state,
                        .dlogits = nullptr,
                        .prev_logp = prev_logp_.data(),
                        .visit_logits = nullptr,
                        .out = out,
                        .batch_weight = nullptr,
                        .loss_scale = 1,
                        .batch = static_cast<std::int32_t>(ids.size()),
                        .classes = classes_});
  stream_->synchronize();
  for (const std::int32_t id : without_previous)
    values_.kl[static_cast<std::size_t>(id)] = values_.true_kl[static_cast<std::size_t>(id)] = 0;
}

std::int64_t Recording::end_epoch(std::optional<std::int64_t> epoch) {
  check_epoch(epoch);
  check_usage(visits_ > 0, "epoch {} has no visits; call update for every batch before end_epoch", epoch_);
  const std::int64_t unlabelled =
      rule_ == LabelRule::kNone ? 0 : std::count(labels_.begin(), labels_.end(), -1);
  check(
      unlabelled == 0,
      "{} of {} samples have no label after epoch {}, because it did not visit them; give the labels of all "
      "samples to the Recorder",
      unlabelled, samples_, epoch_);
  if (!writer_) {
    // First, so that a store without it is never this recording's.
    save(0);
    writer_.emplace(path_.string(), header());
  }
  // After a failed save, the epoch is in the store already.
  if (writer_->epochs() == epoch_) writer_->append(epoch_, values_);
  save(epoch_ + 1);
  ++epoch_;
  const std::int64_t missing = samples_ - visits_;
  visits_ = 0;
  std::fill(visited_.begin(), visited_.end(), false);
  std::fill(values_.kl.begin(), values_.kl.end(), 0.0f);
  std::fill(values_.true_kl.begin(), values_.true_kl.end(), 0.0f);
  return missing;
}

}  // namespace tdds::python
