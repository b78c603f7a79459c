#include "engine/data/cifar_source.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "engine/io/archive.h"
#include "engine/io/files.h"
#include "engine/io/hash.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFile = std::uint64_t{512} << 20;  // the largest official file has 155 MB
constexpr std::int64_t kMaxArchive = std::int64_t{1} << 30;
constexpr int kSearchDepth = 2;
constexpr const char* kOfficialUrl = "https://www.cs.toronto.edu/~kriz";

const std::array<CifarForm, 4>& forms() {
  static const std::array<CifarForm, 4> all{
      {{.set = "cifar10",
        .folder = "cifar-10-batches-bin",
        .archive = "cifar-10-binary.tar.gz",
        .archive_md5 = "c32a1d4ab5d03f1284b67883e8d87530",
        .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                  "data_batch_5.bin"},
        .test = "test_batch.bin",
        .names = "batches.meta.txt",
        .pickled = false},
       {.set = "cifar10",
        .folder = "cifar-10-batches-py",
        .archive = "cifar-10-python.tar.gz",
        .archive_md5 = "c58f30108f718f92721af3b95e74349a",
        .train = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"},
        .test = "test_batch",
        .names = "batches.meta",
        .pickled = true},
       {.set = "cifar100",
        .folder = "cifar-100-binary",
        .archive = "cifar-100-binary.tar.gz",
        .archive_md5 = "03b5dce01913d631647c71ecec9e9cb8",
        .train = {"train.bin"},
        .test = "test.bin",
        .names = "fine_label_names.txt",
        .pickled = false},
       {.set = "cifar100",
        .folder = "cifar-100-python",
        .archive = "cifar-100-python.tar.gz",
        .archive_md5 = "eb9058c3a382ffc7106e4002c42a8d85",
        .train = {"train"},
        .test = "test",
        .names = "meta",
        .pickled = true}}};
  return all;
}

std::vector<const CifarForm*> forms_of(const std::string& set) {
  std::vector<const CifarForm*> found;
  for (const CifarForm& form : forms())
    if (form.set == set) found.push_back(&form);
  return found;
}

std::vector<std::string> needed_files(const CifarForm& form) {
  std::vector<std::string> names = form.train;
  names.push_back(form.test);
  return names;
}

// The folder itself, then its sub-folders by path. Unreadable folders are skipped.
std::vector<fs::path> folders_under(const fs::path& root) {
  std::vector<fs::path> folders;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (!it->is_directory(ignored)) continue;
    folders.push_back(it->path());
    if (it.depth() + 1 >= kSearchDepth) it.disable_recursion_pending();
  }
  std::sort(folders.begin(), folders.end());
  folders.insert(folders.begin(), root);
  return folders;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::vector<std::string> missing_in(const fs::path& folder, const CifarForm& form) {
  std::vector<std::string> missing;
  for (const std::string& name : needed_files(form))
    if (!is_file(folder / name)) missing.push_back(name);
  return missing;
}

CifarSource read_folder(const fs::path& folder, const CifarForm& form) {
  CifarSource source{&form, folder.string(), {}, {}};
  for (const std::string& name : needed_files(form)) source.files[name] = read_file(folder / name, kMaxFile);
  if (is_file(folder / form.names)) source.files[form.names] = read_file(folder / form.names, kMaxFile);
  return source;
}

// The form's name of an archive's member: "any/cifar-100-binary/train.bin" and "train.bin" are train.bin.
std::optional<std::string> name_in_form(const std::string& member, const CifarForm& form) {
  std::vector<std::string> names = needed_files(form);
  names.push_back(form.names);
  for (const std::string& name : names) {
    const std::string tail = form.folder + "/" + name;
    if (member == name || member == tail || member.ends_with("/" + tail)) return name;
  }
  return std::nullopt;
}

// Whether this, behind ".tar", ends the name of an archive or of one of its parts: .gz, .xz, .gz.00, .xz.ab.
bool is_archive_ending(std::string_view ending) {
  if (!ending.starts_with(".gz") && !ending.starts_with(".xz")) return false;
  ending.remove_prefix(3);
  if (ending.empty()) return true;
  if (ending.front() != '.') return false;
  ending.remove_prefix(1);
  const auto within = [&](char low, char high) {
    return std::all_of(ending.begin(), ending.end(), [&](char c) { return c >= low && c <= high; });
  };
  return (within('0', '9') && ending.size() >= 2 && ending.size() <= 4) ||
         (within('a', 'z') && ending.size() == 2);
}

// The archive in `folder`, or the files that `split` cut it into, such as cifar-100-binary.tar.gz.00, sorted
// by name. It may be repacked as .tar.xz. Empty if the folder holds neither.
std::vector<std::string> archive_parts(const fs::path& folder, const CifarForm& form) {
  if (is_file(folder / form.archive)) return {(folder / form.archive).string()};
  const std::string stem = form.archive.substr(0, form.archive.find(".gz"));
  std::vector<std::string> parts;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(stem) && is_archive_ending(std::string_view(name).substr(stem.size())) &&
        is_file(entry.path()))
      parts.push_back(entry.path().string());
  }
  std::sort(parts.begin(), parts.end());
  return parts;
}

CifarSource read_form_archive(const std::vector<std::string>& parts,
                              const std::vector<const CifarForm*>& candidates) {
  const std::string& path = parts.front();
  auto members = read_archive(
      parts,
      [&](const std::string& member) {
        return std::any_of(candidates.begin(), candidates.end(),
                           [&](const CifarForm* form) { return name_in_form(member, *form).has_value(); });
      },
      kMaxFile);
  for (const CifarForm* form : candidates) {
    CifarSource source{form, path, {}, {}};
    for (auto& [member, bytes] : members)
      if (const auto name = name_in_form(member, *form)) source.files[*name] = std::move(bytes);
    const auto needed = needed_files(*form);
    if (!std::all_of(needed.begin(), needed.end(),
                     [&](const auto& name) { return source.files.count(name) > 0; }))
      continue;
    if (hash_files(HashKind::kMd5, parts) != form->archive_md5)
      source.notes.push_back(
          fmt::format("{} is not the official archive (MD5 {}): it may be repacked or damaged.", path,
                      form->archive_md5));
    return source;
  }
  const CifarForm& form = *candidates.front();
  throw Error(
      fmt::format("{} does not hold {}/{} and the files that belong to it: check that it is the {} archive.",
                  path, form.folder, form.train.front(), form.set));
}

CifarSource fetch(const DatasetOptions& options, const CifarForm& form) {
  make_folder(options.data_path);
  const fs::path path = fs::path(options.data_path) / form.archive;
  std::string base = options.download_url.empty() ? kOfficialUrl : options.download_url;
  while (base.ends_with('/')) base.pop_back();
  const std::string& md5 = options.download_md5.empty() ? form.archive_md5 : options.download_md5;
  const std::string url = base + "/" + form.archive;
  if (options.announce) options.announce(fmt::format("downloading {} to {}", url, path.string()));
  const auto progress = [&](std::int64_t received, std::int64_t total) {
    if (options.poll) options.poll();
    if (options.progress) options.progress(received, total);
  };
  download_file(url, path.string(), md5, kMaxArchive, progress);
  return read_form_archive({path.string()}, {&form});
}

[[noreturn]] void fail_not_found(const DatasetOptions& options,
                                 const std::vector<const CifarForm*>& candidates,
                                 const std::string& partial) {
  const bool exists = fs::exists(options.data_path);
  std::string sought;
  for (const CifarForm* form : candidates)
    sought += fmt::format("{}{}/{}, {}", sought.empty() ? "" : ", ", form->folder, form->train.front(),
                          form->archive);
  throw Error(fmt::format(
      "{} was not found: {} {} (looked for {}){}; set `data_path` to the folder that holds it, or "
      "add `download`.",
      options.name, options.data_path, exists ? "and its sub-folders hold none" : "does not exist", sought,
      partial));
}

}  // namespace

CifarSource find_cifar(const DatasetOptions& options) {
  const auto candidates = forms_of(options.name);
  check_usage(!options.data_path.empty(), "{} needs `data_path`, the folder that holds its files.",
              options.name);
  if (is_file(options.data_path)) return read_form_archive({options.data_path}, candidates);
  std::string partial;
  const std::vector<fs::path> folders = folders_under(options.data_path);
  for (const fs::path& folder : folders) {
    for (const CifarForm* form : candidates) {
      const std::vector<std::string> missing = missing_in(folder, *form);
      if (missing.empty()) return read_folder(folder, *form);
      if (missing.size() <= form->train.size())
        partial += fmt::format("; {} lacks {}", folder.string(), fmt::join(missing, ", "));
    }
  }
  for (const fs::path& folder : folders)
    for (const CifarForm* form : candidates)
      if (const auto parts = archive_parts(folder, *form); !parts.empty())
        return read_form_archive(parts, {form});
  if (options.download) return fetch(options, *candidates.front());
  fail_not_found(options, candidates, partial);
}

}  // namespace tdds
