#include "apps/train/run_recording.h"

#include <utility>

#include "apps/train/run_folder.h"
#include "tdds/methods/moderate.h"

namespace tdds {

RunRecording::RunRecording(const TrainConfig& config, const Dataset& data, std::filesystem::path folder)
    : config_(config), data_(data), folder_(std::move(folder)) {
  if (!config_.score.methods.empty())
    scores_.emplace(config_.score, header(), config_.train.epochs, folder_.string(), store());
}

DynamicsHeader RunRecording::header() const {
  return {.samples = data_.train.count(),
          .classes = data_.classes,
          .dataset = data_.name,
          .fingerprint = data_.fingerprint,
          .manifest = data_.manifest.empty() ? "" : data_.manifest.hash(),
          .seed = config_.train.seed,
          .labels = data_.train.labels,
          .fields = recorded_fields(config_)};
}

std::string RunRecording::store() const {
  return (folder_ / kDynamicsFile).string();
}

void RunRecording::open(std::int32_t epochs, RunLog& log) {
  if (!records_dynamics(config_)) return;
  dynamics_.emplace(store(), header(), epochs);
  if (!dynamics_->repair().empty()) log.say(dynamics_->repair());
  if (!scores_) return;
  for (const std::string& note : scores_->notes()) log.say(note);
  if (epochs > 0) scores_->replay(DynamicsReader(store()), epochs);
}

std::map<std::string, double> RunRecording::add(std::int32_t epoch, const EpochRecord& record) {
  if (dynamics_) dynamics_->append(epoch, record.values);
  if (config_.dynamics_npy) write_official_files(epoch, record);
  if (!scores_) return {};
  return scores_->add(record.values);
}

void RunRecording::write_official_files(std::int32_t epoch, const EpochRecord& record) const {
  std::vector<float> loss;
  std::vector<std::int64_t> ids;
  for (const std::int32_t row : record.order) {
    loss.push_back(record.values.loss[row]);
    ids.push_back(row);
  }
  write_official_epoch((folder_ / kNpyFolder).string(), epoch, loss, record.visit_logits, data_.classes, ids);
}

void RunRecording::write_features(std::vector<float> features, std::int64_t width,
                                  std::int32_t epochs) const {
  tdds::write_features(features_beside(store()), header(),
                       {std::move(features), data_.train.count(), width, epochs});
}

}  // namespace tdds
