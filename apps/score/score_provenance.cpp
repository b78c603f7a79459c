#include "apps/score/score_provenance.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/score/image_order.h"
#include "apps/score/score_output.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

std::filesystem::path about_path(const std::filesystem::path& mask, const std::filesystem::path& score) {
  if (!score.empty()) return std::filesystem::path(score).replace_extension(".json");
  const std::string name = mask.filename().string(), prefix = "data_mask_";
  if (!name.starts_with(prefix)) return {};
  return (mask.parent_path() / ("score_" + name.substr(prefix.size()))).replace_extension(".json");
}

}  // namespace

std::string check_scores_are_of(const Dataset& data, const std::string& mask_path,
                                const std::string& score_path) {
  const std::filesystem::path path = about_path(mask_path, score_path);
  if (path.empty() || !std::filesystem::exists(path)) return {};
  const auto about = read_about(path);
  const auto text = [&](const char* key) {
    return about.is_object() && about.contains(key) && about[key].is_string() ? about[key].get<std::string>()
                                                                              : "";
  };
  const std::string fingerprint = text("fingerprint"), manifest = text("manifest");
  // The same files with the same labels are the same samples at every image size.
  const bool same_files = !manifest.empty() && !data.manifest.empty() && data.manifest.matches(manifest);
  const bool fits = fingerprint.empty() || fingerprint == data.fingerprint || same_files;
  const std::string reason = fits ? "" : order_reason(data, manifest);
  check(reason.empty(),
        "{} says that the scores are of other data ({}) than this run's {}: {}; train and score again",
        path.string(), text("dataset"), data.name, reason);
  check(
      fits,
      "{} says that the scores are of other data ({}) than this run's {}; score the data that you train on, "
      "with the same --max_train_samples, --val_fraction and seed",
      path.string(), text("dataset"), data.name);
  if (fingerprint == data.fingerprint || !same_files || manifest == data.manifest.hash()) return {};
  return fmt::format(
      "{} is from an earlier version, which identified images by path and size: images that were replaced "
      "since by others of equal size are not detected",
      path.string());
}

}  // namespace tdds
