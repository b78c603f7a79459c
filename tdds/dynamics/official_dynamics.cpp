#include "tdds/official_dynamics.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <filesystem>
#include <mutex>
#include <span>
#include <string_view>

#include "engine/npy.h"
#include "kernels/check.h"
#include "kernels/cpu/kl_rows.h"
#include "kernels/cpu/parallel.h"
#include "tdds/selection.h"

namespace tdds {
namespace {

std::string file_of(const std::string& folder, std::int32_t epoch, const char* what) {
  return fmt::format("{}/{}_{}.npy", folder, epoch, what);
}

struct EpochFiles {
  EpochFiles(const std::string& folder, std::int32_t epoch)
      : logits(file_of(folder, epoch, "Output"), DType::kF32, 2), ids_path(file_of(folder, epoch, "Index")) {}

  NpyReader logits;  // [N,K]
  std::string ids_path;
};

// What is carried from one epoch to the next.
struct Previous {
  std::vector<float> logits;  // [N,K] by sample id
  std::vector<cpu::VisitNorm> norms;
};

std::vector<std::int64_t> read_ids(const EpochFiles& files, std::int64_t samples) {
  std::vector<std::int64_t> ids = read_npy_i64(files.ids_path);
  check(static_cast<std::int64_t>(ids.size()) == samples, "{} lists {} samples and {} has {} rows",
        files.ids_path, ids.size(), files.logits.path(), samples);
  check_permutation(ids, files.ids_path);
  return ids;
}

// Takes in one epoch; `kl` [N] is null for the first. Threads read and evaluate blocks of rows, so that the
// whole epoch is never in memory in visiting order.
void take_epoch(const EpochFiles& files, std::span<const std::int64_t> ids, Previous& previous, float* kl) {
  const std::int64_t classes = files.logits.shape()[1];
  constexpr std::int64_t kBlockFloats = 1 << 15;
  const std::int64_t block = std::max<std::int64_t>(1, kBlockFloats / classes);
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run_block = [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> rows(static_cast<std::size_t>((end - begin) * classes));
    std::vector<double> scratch(static_cast<std::size_t>(2 * classes));
    files.logits.read(begin * classes, (end - begin) * classes, rows.data());
    const std::int64_t bad =
        cpu::kl_rows({rows.data(), ids.data() + begin, previous.logits.data(), previous.norms.data(), kl,
                      scratch.data(), end - begin, static_cast<std::int32_t>(classes)});
    check(bad < 0, "{} holds a logit that is not finite in row {} (sample id {}); training had failed there",
          files.logits.path(), begin + bad, bad < 0 ? 0 : ids[static_cast<std::size_t>(begin + bad)]);
  };
  cpu::parallel_blocks(static_cast<std::int64_t>(ids.size()), block,
                       [&](std::int64_t begin, std::int64_t end) {
                         try {
                           run_block(begin, end);
                         } catch (...) {
                           const std::lock_guard lock(mutex);
                           if (!failure) failure = std::current_exception();
                         }
                       });
  if (failure) std::rethrow_exception(failure);
}

void check_shape(const NpyReader& logits, const std::vector<std::int64_t>& first) {
  const auto& shape = logits.shape();
  check(shape[0] >= 1 && shape[1] >= 2,
        "{} has shape [{}, {}]; [samples, classes] with 2 classes is the least", logits.path(), shape[0],
        shape[1]);
  check(shape == first, "{} has shape [{}, {}] and epoch 0 has [{}, {}]; all epochs must be of one run",
        logits.path(), shape[0], shape[1], first[0], first[1]);
}

}  // namespace

std::int32_t count_official_epochs(const std::string& folder) {
  std::vector<std::int32_t> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::int32_t epoch = 0;
    const auto [rest, parsed] = std::from_chars(name.data(), name.data() + name.size(), epoch);
    if (parsed == std::errc{} && std::string_view(rest) == "_Output.npy") found.push_back(epoch);
  }
  check(!error, "the folder {} cannot be read: {}", folder, error.message());
  check(!found.empty(), "{} holds no <epoch>_Output.npy; give the folder that train.py --dynamics wrote",
        folder);
  std::sort(found.begin(), found.end());
  // The official train.py makes the folder at the end of epoch 0, in place of writing that epoch.
  check(found.front() == 0,
        "{} is missing, though the folder holds later epochs: the official train.py writes no epoch 0 where "
        "npy/ was not there before the run; run it again now that it is, or lower the number of every file "
        "by {}, so that the epochs count from {}",
        file_of(folder, 0, "Output"), found.front(), found.front());
  for (std::size_t i = 0; i < found.size(); ++i)
    check(found[i] == static_cast<std::int32_t>(i),
          "{} is missing, though the folder holds later epochs; restore it, or remove the later ones",
          file_of(folder, static_cast<std::int32_t>(i), "Output"));
  return static_cast<std::int32_t>(found.size());
}

KlSeries read_official_series(const std::string& folder, std::int32_t epochs) {
  check(epochs >= 1, "a series of {} epochs cannot be read", epochs);
  KlSeries series;
  series.epochs = epochs;
  Previous previous;
  std::vector<std::int64_t> shape;
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const EpochFiles files(folder, epoch);
    if (epoch == 0) shape = files.logits.shape();
    check_shape(files.logits, shape);
    series.samples = shape[0];
    const std::vector<std::int64_t> ids = read_ids(files, series.samples);
    if (epoch == 0) {
      previous.logits.resize(static_cast<std::size_t>(files.logits.elements()));
      previous.norms.resize(ids.size());
      series.values.resize(ids.size() * static_cast<std::size_t>(epochs - 1));
    }
    float* kl = epoch == 0 ? nullptr : series.values.data() + (epoch - 1) * series.samples;
    take_epoch(files, ids, previous, kl);
  }
  return series;
}

}  // namespace tdds
