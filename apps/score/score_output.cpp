#include "apps/score/score_output.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apps/cli/cli.h"
#include "apps/cli/output.h"
#include "engine/io/files.h"
#include "engine/io/json_text.h"
#include "engine/io/npy.h"
#include "kernels/runtime/check.h"
#include "tdds/selection/strategy.h"

namespace tdds {
namespace {

using Json = nlohmann::ordered_json;

Json merged(Json json, const Json& more) {
  json.update(more);
  return json;
}

std::string as_csv(const ScoredMethod& scored, const Selection& selection,
                   std::span<const std::int32_t> labels, const SampleIds& sample_ids) {
  std::string text = labels.empty() ? "id,score,kept\n" : "id,label,score,kept\n";
  for (std::size_t at = 0; at < scored.score.size(); ++at) {
    const auto row = static_cast<std::int64_t>(at);
    const bool kept = std::binary_search(selection.ids.begin(), selection.ids.end(), row);
    const std::string label = labels.empty() ? "" : fmt::format("{},", labels[at]);
    text += fmt::format("{},{}{:.9g},{}\n", sample_ids.of(row), label, scored.score[at], kept ? 1 : 0);
  }
  return text;
}

void write_ids(const std::string& path, const std::string& format, const ScoredMethod& scored,
               const Selection& selection, const Json& about, std::span<const std::int32_t> labels,
               const SampleIds& sample_ids) {
  const std::vector<std::int64_t> ids = sample_ids.of(selection.ids);
  if (format == "npy") {
    write_npy(path, ids, {static_cast<std::int64_t>(ids.size())});
  } else if (format == "txt") {
    write_file_atomically(path, fmt::format("{}\n", fmt::join(ids, "\n")));
  } else if (format == "csv") {
    write_file_atomically(path, as_csv(scored, selection, labels, sample_ids));
  } else {
    write_file_atomically(path, json_text(merged(about, {{"ids", ids}})) + "\n");
  }
}

void print_class_counts(const std::vector<std::int64_t>& counts) {
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  constexpr std::size_t kFew = 20;
  if (counts.size() <= kFew)
    print_out("  by class: {}\n", fmt::join(counts, " "));
  else
    print_out("  by class: {} (class {}) to {} (class {}); all in the JSON file\n", *least,
              least - counts.begin(), *most, most - counts.begin());
}

}  // namespace

std::string about_of(const RankingFiles& files) {
  return files.score.substr(0, files.score.size() - std::string_view(".npy").size()) + ".json";
}

Json read_about(const std::filesystem::path& path) {
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 20;
  return Json::parse(read_file(path, kLargest), nullptr, false);
}

Json provenance_of(const DynamicsSource& source, std::int64_t samples) {
  if (const DynamicsReader* store = source.store())
    return provenance_of("tdds-score", source.path(), store->header(), source.epochs());
  return {{"program", "tdds-score " + version_text()},
          {"dynamics", source.path()},
          {"samples", samples},
          {"recorded_epochs", source.epochs()}};
}

Json provenance_of(const std::string& program, const std::string& path, const DynamicsHeader& header,
                   std::int32_t epochs) {
  Json about{{"program", program + " " + version_text()},
             {"dynamics", path},
             {"samples", header.samples},
             {"dataset", header.dataset},
             {"fingerprint", header.fingerprint}};
  if (!header.manifest.empty()) about["manifest"] = header.manifest;
  about.update(Json{{"training_seed", header.seed}, {"recorded_epochs", epochs}});
  return about;
}

void check_formats(std::span<const std::string> formats) {
  for (const std::string& format : formats)
    check_usage(format == "npy" || format == "txt" || format == "csv" || format == "json",
                "there is no format '{}'; choose from npy, txt, csv and json", format);
}

std::string write_scores(const ScoredMethod& scored, const Json& provenance, Device* sorter) {
  const Ranking ranking = sorter ? rank_by_score(*sorter, scored.score) : rank_by_score(scored.score);
  write_ranking(scored.files, ranking);
  write_file_atomically(about_of(scored.files), json_text(merged(scored.how, provenance), 1) + "\n");
  return fmt::format("{}: scores {:.6g} to {:.6g}, median {:.6g}\n  {}\n  {}\n", scored.name,
                     ranking.scores.front(), ranking.scores.back(), ranking.scores[ranking.scores.size() / 2],
                     scored.files.mask, scored.files.score);
}

void write_selection(const std::string& folder, const ScoredMethod& scored, const Selection& selection,
                     std::span<const std::string> formats, const Json& provenance,
                     std::span<const std::int32_t> labels, std::int32_t classes,
                     const SampleIds& sample_ids) {
  const auto samples = static_cast<std::int64_t>(scored.score.size());
  const auto kept = static_cast<std::int64_t>(selection.ids.size());
  const std::string name = fmt::format("{}_{}_{}", scored.stem, selection.name, selection.amount);
  Json about = merged(merged(scored.how, selection.how), provenance);
  about["pruning_rate"] = selection.rate;
  about["kept"] = kept;
  print_out("{}, {} at a pruning rate of {}: keeps {} of {}\n", scored.name, selection.name, selection.rate,
            kept, samples);
  if (!labels.empty()) {
    const auto counts = count_by_class(selection.ids, labels, classes);
    about["kept_by_class"] = counts;
    print_class_counts(counts);
  }
  for (const std::string& format : formats) {
    const std::string path = fmt::format("{}/kept_{}.{}", folder, name, format);
    write_ids(path, format, scored, selection, about, labels, sample_ids);
    print_out("  {}\n", path);
  }
  if (selection.name == "top") return;
  const RankingFiles files = ranking_files(folder, name);
  write_ranking(files, ranking_of(selection.ids, samples));
  write_file_atomically(about_of(files), json_text(about, 1) + "\n");
  print_out("  {}\n  {}\n", files.mask, files.score);
}

}  // namespace tdds
