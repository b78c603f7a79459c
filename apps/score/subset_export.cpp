#include "apps/score/subset_export.h"

#include <fmt/core.h>

#include <algorithm>

#include "apps/cli/output.h"
#include "apps/score/image_order.h"
#include "engine/io/files.h"
#include "engine/io/system_reason.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

bool asked(const ScoreOptions& options, const char* form) {
  return std::find(options.exports.begin(), options.exports.end(), form) != options.exports.end();
}

// RFC 4180: a field is quoted where needed, and quotation marks inside are doubled.
std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + "\"";
}

std::string class_of(const std::string& file) {
  return file.substr(0, file.find('/'));
}

}  // namespace

void check_exports(const ScoreOptions& options, bool selects) {
  for (const std::string& form : options.exports)
    check_usage(form == "list" || form == "csv" || form == "links",
                "--export '{}' is unknown; choose from list, csv and links", form);
  check_usage(options.exports.empty() || !options.export_dir.empty(),
              "--export needs --export_dir, the folder to write to");
  check_usage(options.exports.empty() || selects,
              "--export writes the kept files: say how many with --subset_rate or --keep");
}

SubsetExporter::SubsetExporter(const ScoreOptions& options, const DynamicsSource& source,
                               const SampleIds& sample_ids)
    : options_(options), sample_ids_(sample_ids) {
  check(source.store() != nullptr && !source.store()->header().manifest.empty(),
        "{} was not recorded on a data set of image files, so there are no files to export; --format writes "
        "the ids of the kept samples",
        source.path());
  const std::string& expected = source.store()->header().manifest;
  manifest_path_ = fs::path(source.path()).parent_path() / "manifest.tsv";
  check_image_order(manifest_path_);
  manifest_ = read_manifest(manifest_path_.string());
  check(manifest_.matches(expected), "{} does not belong to the data that {} was recorded on; restore it",
        manifest_path_.string(), source.path());
  folder_ = options.data_path.empty() ? fs::path(manifest_.folder) : fs::path(options.data_path) / "train";
  folder_ = fs::absolute(folder_).lexically_normal();
  std::error_code ignored;
  check(fs::exists(folder_ / manifest_.files.front(), ignored),
        "{} does not exist: give --data_path, the folder that holds train/",
        (folder_ / manifest_.files.front()).string());
}

fs::path SubsetExporter::place(const ScoredMethod& scored, const Selection& selection) const {
  return fs::path(options_.export_dir) /
         fmt::format("{}_{}_{}", scored.stem, selection.name, selection.amount);
}

fs::path SubsetExporter::path_of(std::int64_t row) const {
  return folder_ / manifest_.files[static_cast<std::size_t>(row)];
}

std::string SubsetExporter::list(const Selection& selection) const {
  std::string text;
  for (const std::int64_t row : selection.ids) {
    const std::string path = path_of(row).string();
    check(path.find('\n') == std::string::npos,
          "the path {} contains a newline, which a list cannot hold; use --export csv", path);
    text += path + "\n";
  }
  return text;
}

std::string SubsetExporter::csv(const ScoredMethod& scored, const Selection& selection) const {
  std::string text = "id,path,label,class,score\n";
  for (const std::int64_t row : selection.ids) {
    const auto at = static_cast<std::size_t>(row);
    text += fmt::format("{},{},{},{},{:.9g}\n", sample_ids_.of(row), quoted(path_of(row).string()),
                        manifest_.labels[at], quoted(class_of(manifest_.files[at])), scored.score[at]);
  }
  return text;
}

void SubsetExporter::link(const fs::path& folder, const Selection& selection) const {
  const fs::path unfinished = folder.string() + ".tmp";
  fs::remove_all(unfinished);
  for (const std::int64_t row : selection.ids) {
    const fs::path to = unfinished / "train" / manifest_.files[static_cast<std::size_t>(row)];
    std::error_code error;
    fs::create_directories(to.parent_path(), error);
    if (!error) fs::create_symlink(path_of(row), to, error);
    check(!error, "{} cannot be made: {}", to.string(),
          system_reason(error.value(), "choose another --export_dir"));
  }
  fs::rename(unfinished, folder);
}

void SubsetExporter::check_free(const ScoredMethod& scored, const Selection& selection) const {
  const fs::path folder = place(scored, selection);
  std::error_code ignored;
  check(!asked(options_, "links") || !fs::exists(folder, ignored),
        "{} exists already; remove it, or choose another --export_dir", folder.string());
}

void SubsetExporter::write(const ScoredMethod& scored, const Selection& selection) const {
  const fs::path stem = place(scored, selection);
  make_folder(options_.export_dir);
  const auto written = [](const fs::path& path) { print_out("  {}\n", path.string()); };
  if (asked(options_, "list")) {
    write_file_atomically(stem.string() + ".txt", list(selection));
    written(stem.string() + ".txt");
  }
  if (asked(options_, "csv")) {
    write_file_atomically(stem.string() + ".csv", csv(scored, selection));
    written(stem.string() + ".csv");
  }
  if (asked(options_, "links")) {
    link(stem, selection);
    written(stem);
  }
}

}  // namespace tdds
