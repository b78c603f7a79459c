#include "apps/train/ground_truth.h"

#include <fmt/format.h>

#include "engine/io/files.h"
#include "engine/io/npy.h"

namespace tdds {

std::string ground_truth_csv(const Dataset& data) {
  const GroundTruth& truth = *data.truth;
  std::string text = "row,id,label,true_label,corruption,duplicate_of,difficulty\n";
  const bool drawn = !truth.difficulty.empty();
  for (std::size_t row = 0; row < truth.true_labels.size(); ++row) {
    const int corruption = truth.corruption.empty() ? 0 : truth.corruption[row];
    const std::int32_t original = truth.duplicate_of[row];
    if (!drawn && truth.wrong_label[row] == 0 && corruption == 0 && original < 0) continue;
    text += fmt::format("{},{},{},{},{},{},{}\n", row, data.train_ids[row], data.train.labels[row],
                        truth.true_labels[row],
                        corruption == 0 ? "" : to_string(static_cast<Corruption>(corruption - 1)),
                        original < 0 ? "" : std::to_string(original),
                        drawn ? fmt::format("{:.4f}", truth.difficulty[row]) : "");
  }
  return text;
}

std::vector<std::uint8_t> near_duplicates(const GroundTruth& truth) {
  std::vector<std::uint8_t> marks;
  for (const std::int32_t original : truth.duplicate_of) marks.push_back(original >= 0 ? 1 : 0);
  return marks;
}

void write_ground_truth(const std::filesystem::path& folder, const Dataset& data) {
  if (!data.truth) return;
  std::vector<std::int64_t> wrong;
  for (std::size_t row = 0; row < data.truth->wrong_label.size(); ++row)
    if (data.truth->wrong_label[row]) wrong.push_back(static_cast<std::int64_t>(row));
  write_npy(folder / "wrong_label_ids.npy", wrong, {static_cast<std::int64_t>(wrong.size())});
  write_file_atomically(folder / "planted.csv", ground_truth_csv(data));
}

}  // namespace tdds
