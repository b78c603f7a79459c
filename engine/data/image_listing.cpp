#include "engine/image_listing.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

#include "engine/dataset_image.h"
#include "engine/files.h"
#include "kernels/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestLabelFile = std::uint64_t{1} << 28;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

// What a folder holds at its top.
struct Contents {
  std::vector<std::string> folders, images;  // names, sorted by bytes
};

Contents contents_of(const std::string& folder) {
  Contents contents;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (is_hidden(it->path())) continue;
    if (is_folder(it->path()))
      contents.folders.push_back(it->path().filename().string());
    else if (has_image_name(it->path().string()))
      contents.images.push_back(it->path().filename().string());
  }
  check(!error, "{} cannot be read ({}): check that it exists and is readable.", folder, error.message());
  std::sort(contents.folders.begin(), contents.folders.end());
  std::sort(contents.images.begin(), contents.images.end());
  return contents;
}

// Paths below `folder` of the images of one class. A broken link is listed, so that it is missed by name.
std::vector<std::string> class_files(const std::string& folder, const std::string& name) {
  std::vector<std::string> files;
  std::error_code error;
  const auto follow = fs::directory_options::follow_directory_symlink;
  for (fs::recursive_directory_iterator it(fs::path(folder) / name, follow, error), end; !error && it != end;
       it.increment(error)) {
    const bool inner_folder = is_folder(it->path());
    if (is_hidden(it->path()) && inner_folder) it.disable_recursion_pending();
    if (!is_hidden(it->path()) && !inner_folder && has_image_name(it->path().string()))
      files.push_back(it->path().lexically_relative(folder).generic_string());
  }
  check(!error, "{}/{} cannot be read ({}): make it readable.", folder, name, error.message());
  check(!files.empty(), "{}/{} holds no image: add some or remove the folder.", folder, name);
  return files;
}

void add_sizes(const std::string& folder, ImageListing& listing) {
  for (const std::string& file : listing.files) {
    std::error_code error;
    const auto bytes = fs::file_size(fs::path(folder) / file, error);
    listing.bytes.push_back(error ? 0 : bytes);
  }
}

// Class numbers by the image's name without its ending.
using LabelsByStem = std::map<std::string, std::int32_t>;

std::string stem_of(const std::string& file) {
  return fs::path(file).stem().string();
}

LabelsByStem read_solution(const fs::path& path, const std::vector<std::string>& class_names) {
  LabelsByStem labels;
  std::istringstream text(read_file(path, kLargestLabelFile));
  for (std::string line; std::getline(text, line);) {
    const std::size_t comma = line.find(',');
    if (comma == std::string::npos) continue;
    const std::string name = line.substr(comma + 1, line.find(' ', comma) - comma - 1);
    const auto at = std::lower_bound(class_names.begin(), class_names.end(), name);
    if (at != class_names.end() && *at == name)
      labels[line.substr(0, comma)] = static_cast<std::int32_t>(at - class_names.begin());
  }
  return labels;
}

LabelsByStem read_numbers(const fs::path& path, const std::vector<std::string>& class_names) {
  LabelsByStem labels;
  std::istringstream text(read_file(path, kLargestLabelFile));
  std::string file;
  for (std::int64_t number = 0; text >> file >> number;)
    if (number >= 0 && number < static_cast<std::int64_t>(class_names.size()))
      labels[stem_of(file)] = static_cast<std::int32_t>(number);
  return labels;
}

}  // namespace

ImageListing list_images(const std::string& folder) {
  const Contents contents = contents_of(folder);
  check(!contents.folders.empty(),
        "{} holds no class folders{}: put each class's images into a folder of its name.", folder,
        contents.images.empty() ? "" : " but loose images");
  ImageListing listing;
  listing.class_names = contents.folders;
  std::vector<std::pair<std::string, std::int32_t>> all;
  for (std::size_t c = 0; c < listing.class_names.size(); ++c)
    for (std::string& file : class_files(folder, listing.class_names[c]))
      all.emplace_back(std::move(file), static_cast<std::int32_t>(c));
  std::sort(all.begin(), all.end());
  for (auto& [file, label] : all) {
    listing.files.push_back(std::move(file));
    listing.labels.push_back(label);
  }
  add_sizes(folder, listing);
  return listing;
}

ImageListing list_loose_images(const std::string& folder, const std::string& root,
                               const std::vector<std::string>& class_names) {
  const fs::path solution = fs::path(root) / "LOC_val_solution.csv", numbers = fs::path(root) / "val.txt";
  std::error_code ignored;
  const bool has_solution = fs::exists(solution, ignored);
  check(
      has_solution || fs::exists(numbers, ignored),
      "{} holds loose images, and {} has neither LOC_val_solution.csv nor val.txt to tell their classes: add "
      "one, or put each class's images into a folder of its name.",
      folder, root);
  const fs::path& path = has_solution ? solution : numbers;
  const LabelsByStem labels =
      has_solution ? read_solution(path, class_names) : read_numbers(path, class_names);
  ImageListing listing;
  listing.class_names = class_names;
  listing.files = contents_of(folder).images;
  for (const std::string& file : listing.files) {
    const auto at = labels.find(stem_of(file));
    check(at != labels.end(), "{} does not give {}/{} a class that train has: mend it.", path.string(),
          folder, file);
    listing.labels.push_back(at->second);
  }
  add_sizes(folder, listing);
  return listing;
}

bool has_loose_images(const std::string& folder) {
  const Contents contents = contents_of(folder);
  return contents.folders.empty() && !contents.images.empty();
}

}  // namespace tdds
