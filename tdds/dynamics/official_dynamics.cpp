#include "tdds/dynamics/official_dynamics.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "engine/io/npy.h"
#include "engine/io/system_reason.h"
#include "kernels/ops/kl_rows.h"
#include "kernels/runtime/check.h"
#include "kernels/runtime/parallel.h"

namespace tdds {
namespace {

constexpr std::string_view kOutput = "_Output.npy", kIndex = "_Index.npy";

std::string join(const std::string& folder, std::string_view name) {
  return fmt::format("{}/{}", folder, name);
}

// The number in "007_Output.npy"; nullopt if anything else precedes `end`.
std::optional<std::int32_t> epoch_of(std::string_view name, std::string_view end) {
  const std::string_view digits = name.substr(0, name.size() - end.size());
  std::int32_t epoch = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), epoch);
  const bool is_number =
      error == std::errc{} && rest == digits.data() + digits.size() && digits.front() != '-';
  return is_number ? std::optional(epoch) : std::nullopt;
}

using NamesByEpoch = std::map<std::int32_t, std::string>;

// Adds the file to `names` or `ignored` if its name ends with `end`.
void take_name(const std::string& folder, const std::string& name, std::string_view end, NamesByEpoch& names,
               std::vector<std::string>& ignored) {
  if (!name.ends_with(end)) return;
  const std::optional<std::int32_t> epoch = epoch_of(name, end);
  if (!epoch) {
    ignored.push_back(name);
    return;
  }
  const auto [first, is_first] = names.emplace(*epoch, name);
  check(is_first, "{} holds two files of epoch {}, {} and {}; remove one of them", folder, *epoch,
        std::min(first->second, name), std::max(first->second, name));
}

struct EpochFiles {
  EpochFiles(const std::string& folder, const OfficialEpoch& epoch)
      : logits(join(folder, epoch.output), DType::kF32, 2), ids_path(join(folder, epoch.index)) {}

  NpyReader logits;  // [N,K]
  std::string ids_path;
};

// The state carried from one epoch to the next.
struct Previous {
  Previous(std::int64_t samples, std::int64_t classes)
      : logits(static_cast<std::size_t>(samples * classes)),
        norms(static_cast<std::size_t>(samples), {static_cast<double>(classes - 1), 0}),
        visited(static_cast<std::size_t>(samples)) {}

  std::vector<float> logits;  // [N,K] by sample id; before the first visit, of a uniform prediction
  std::vector<cpu::VisitNorm> norms;
  std::vector<bool> visited;
};

// N from the ids of all epochs read. A wrong id would make the series far too large, so an id of at least
// twice the visits of an epoch is accepted only if N is given.
std::int64_t count_samples(const std::string& folder, std::span<const OfficialEpoch> epochs,
                           std::int64_t given) {
  std::int64_t most = 0, largest = -1;
  std::string largest_in;
  for (const OfficialEpoch& epoch : epochs) {
    const std::string path = join(folder, epoch.index);
    const std::vector<std::int64_t> ids = read_npy_i64(path);
    if (ids.empty()) continue;
    const auto [least, last] = std::minmax_element(ids.begin(), ids.end());
    check(*least >= 0, "{} holds the sample id {}; ids count from 0", path, *least);
    check(given == 0 || *last < given, "{} holds the sample id {}; with {} samples the ids are 0 to {}", path,
          *last, given, given - 1);
    most = std::max(most, static_cast<std::int64_t>(ids.size()));
    if (*last > largest) {
      largest = *last;
      largest_in = path;
    }
  }
  check(
      given > 0 || largest < 2 * most,
      "{} holds the sample id {}, but no epoch visits more than {} samples; ids must count the samples from "
      "0: give the number of samples if that is right",
      largest_in, largest, most);
  return given > 0 ? given : largest + 1;
}

std::vector<std::int64_t> read_ids(const EpochFiles& files, std::int32_t epoch, std::int64_t samples) {
  std::vector<std::int64_t> ids = read_npy_i64(files.ids_path);
  check(ids.size() == static_cast<std::size_t>(files.logits.shape()[0]),
        "{} lists {} samples, but {} has {} rows", files.ids_path, ids.size(), files.logits.path(),
        files.logits.shape()[0]);
  std::vector<bool> seen(static_cast<std::size_t>(samples));
  for (const std::int64_t id : ids) {
    // The file may have changed since the ids were counted.
    check(id >= 0 && id < samples, "{} holds the sample id {}; with {} samples the ids are 0 to {}",
          files.ids_path, id, samples, samples - 1);
    check(!seen[static_cast<std::size_t>(id)],
          "{} holds the sample id {} twice, but a sample is visited once in an epoch ({}); record only the "
          "first visit",
          files.ids_path, id, epoch);
    seen[static_cast<std::size_t>(id)] = true;
  }
  return ids;
}

// Adds one epoch; `kl` [N] is null for the first. Threads read and evaluate blocks of rows, so that the
// whole epoch is never in memory in visiting order.
void take_epoch(const EpochFiles& files, std::span<const std::int64_t> ids, Previous& previous, double* kl) {
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
  constexpr std::int64_t kWorkAClass = 32;  // reading, an exponential and two logarithms
  cpu::parallel_blocks(static_cast<std::int64_t>(ids.size()), block, kWorkAClass * classes,
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

// d is 0 at a sample's first visit, because there is no previous one.
void note_visits(std::span<const std::int64_t> ids, Previous& previous, double* kl) {
  for (const std::int64_t id : ids) {
    if (kl && !previous.visited[static_cast<std::size_t>(id)]) kl[id] = 0;
    previous.visited[static_cast<std::size_t>(id)] = true;
  }
}

void check_shape(const NpyReader& logits, const std::vector<std::int64_t>& first) {
  const auto& shape = logits.shape();
  check(shape[0] >= 1 && shape[1] >= 2,
        "{} has shape [{}, {}]; [samples, classes] with at least 2 classes is needed", logits.path(),
        shape[0], shape[1]);
  check(shape[1] == first[1],
        "{} has shape [{}, {}], but epoch 0 has [{}, {}]; all epochs must be of one run", logits.path(),
        shape[0], shape[1], first[0], first[1]);
}

}  // namespace

OfficialFiles find_official_files(const std::string& folder) {
  NamesByEpoch outputs, indices;
  OfficialFiles found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    take_name(folder, name, kOutput, outputs, found.ignored);
    take_name(folder, name, kIndex, indices, found.ignored);
  }
  check(!error, "the folder {} cannot be read: {}", folder, system_reason(error.value()));
  check(!outputs.empty(), "{} holds no <epoch>_Output.npy; give the folder that the official train.py wrote",
        folder);
  std::sort(found.ignored.begin(), found.ignored.end());
  // At the end of epoch 0, the official train.py creates a missing folder instead of writing that epoch.
  const std::int32_t first = outputs.begin()->first;
  check(first == 0,
        "{} is missing, though the folder holds later epochs: the official train.py writes no epoch 0 if "
        "npy/ did not exist before the run; run it again now that it does, or lower the number of every file "
        "by {}, so that the epochs count from {}",
        join(folder, "0_Output.npy"), first, first);
  for (const auto& [epoch, output] : outputs) {
    const auto expected = static_cast<std::int32_t>(found.epochs.size());
    check(
        epoch == expected,
        "{}/{}_Output.npy is missing, though the folder holds later epochs; restore it, or remove the later "
        "ones",
        folder, expected);
    const auto index = indices.find(epoch);
    const std::string beside = output.substr(0, output.size() - kOutput.size()) + std::string(kIndex);
    found.epochs.push_back({output, index == indices.end() ? beside : index->second});
  }
  return found;
}

KlSeries read_official_series(const std::string& folder, std::int32_t epochs, const MissingVisits& rule) {
  check(epochs >= 1, "a series of {} epochs cannot be read", epochs);
  check(rule.samples >= 0, "{} samples cannot be read; give their number, or 0 for the number in the files",
        rule.samples);
  KlSeries series;
  series.epochs = epochs;
  const std::vector<OfficialEpoch> all = find_official_files(folder).epochs;
  check(static_cast<std::size_t>(epochs) <= all.size(), "{} holds {} epochs, but {} were requested", folder,
        all.size(), epochs);
  const std::span<const OfficialEpoch> used(all.data(), static_cast<std::size_t>(epochs));
  series.samples = count_samples(folder, used, rule.samples);
  series.visits.samples_assumed = rule.samples == 0;
  std::optional<Previous> previous;
  std::vector<std::int64_t> first;
  for (std::int32_t epoch = 0; epoch < epochs; ++epoch) {
    const EpochFiles files(folder, used[static_cast<std::size_t>(epoch)]);
    if (epoch == 0) first = files.logits.shape();
    check_shape(files.logits, first);
    const std::vector<std::int64_t> ids = read_ids(files, epoch, series.samples);
    const auto missing = series.samples - static_cast<std::int64_t>(ids.size());
    check(missing == 0 || rule.carry,
          "{}: {} of {} samples ({}) were not visited in epoch {}: the loader dropped the last incomplete "
          "batch (drop_last=True), or samples were left out; record every sample in every epoch "
          "(drop_last=False){}{}",
          files.ids_path, missing, series.samples, rule.samples > 0 ? "as given" : "the largest id plus one",
          epoch, rule.accept.empty() ? "" : ", or ", rule.accept);
    if (rule.carry) series.visits.missing.push_back(missing);
    if (!previous) {
      previous.emplace(series.samples, first[1]);
      series.values.resize(static_cast<std::size_t>(series.samples * (epochs - 1)));  // 0: no visit
    }
    double* kl = epoch == 0 ? nullptr : series.values.data() + (epoch - 1) * series.samples;
    take_epoch(files, ids, *previous, kl);
    note_visits(ids, *previous, kl);
  }
  series.visits.never_visited = std::count(previous->visited.begin(), previous->visited.end(), false);
  return series;
}

}  // namespace tdds
