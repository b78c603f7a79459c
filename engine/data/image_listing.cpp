#include "engine/data/image_listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <sstream>
#include <string_view>
#include <tuple>

#include "engine/data/image_walk.h"
#include "engine/image/dataset_image.h"
#include "engine/io/files.h"
#include "engine/io/text_lines.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestLabelFile = std::uint64_t{1} << 28;

bool is_image(const std::string& name) {
  return !is_hidden(name) && has_image_name(name);
}

// Counts the files that are not read, by kind.
class PassedOver {
 public:
  void add(const std::string& kind, std::int64_t files = 1) {
    if (files > 0) counts_[kind] += files;
  }
  void add_by_name(const std::string& name) {
    const std::string ending = ending_of(name);
    const bool usual = ending.size() <= 8 && std::all_of(ending.begin(), ending.end(), [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
                       });
    add(is_hidden(name)  ? "hidden"
        : ending.empty() ? "without an ending"
        : usual          ? "." + ending
                         : "with unusual endings");
  }
  bool empty() const { return counts_.empty(); }
  // "20 .webp, 3 hidden": the most frequent first.
  std::string text() const {
    constexpr std::size_t kShown = 8;
    std::vector<std::pair<std::int64_t, std::string>> kinds;
    for (const auto& [kind, files] : counts_) kinds.emplace_back(-files, kind);
    std::sort(kinds.begin(), kinds.end());
    std::string text;
    std::int64_t others = 0;
    for (std::size_t i = 0; i < kinds.size(); ++i)
      if (i < kShown)
        text += fmt::format("{}{} {}", i == 0 ? "" : ", ", -kinds[i].first, kinds[i].second);
      else
        others -= kinds[i].first;
    return others == 0 ? text : fmt::format("{}, {} with other endings", text, others);
  }
  std::string sentence(const std::string& folder) const {
    std::int64_t files = 0;
    for (const auto& [kind, count] : counts_) files += count;
    return empty() ? ""
                   : fmt::format("{} file{} of {} {} not read: {}", files, files == 1 ? "" : "s", folder,
                                 files == 1 ? "was" : "were", text());
  }

 private:
  std::map<std::string, std::int64_t> counts_;
};

// The index of `name`, or where it would be inserted.
std::int32_t class_number(const std::vector<std::string>& class_names, const std::string& name) {
  return static_cast<std::int32_t>(std::lower_bound(class_names.begin(), class_names.end(), name) -
                                   class_names.begin());
}

// Whether torchvision.datasets.ImageFolder counts a file of this name (its IMG_EXTENSIONS).
bool has_image_folder_name(const std::string& name) {
  constexpr std::array<std::string_view, 9> kEnds{"jpg", "jpeg", "png",  "ppm", "bmp",
                                                  "pgm", "tif",  "tiff", "webp"};
  return std::find(kEnds.begin(), kEnds.end(), ending_of(name)) != kEnds.end();
}

// Follows the files in ImageFolder's order and notes where its list differs from the files read here.
class Difference {
 public:
  void see(const std::string& file, bool read_here, bool counted_there) {
    read_ += read_here ? 1 : 0;
    if (read_here == counted_there) return;
    (read_here ? only_here_ : only_there_) += 1;
    if (first_.empty()) {
      first_ = file;
      first_id_ = read_here ? read_ - 1 : read_;
    }
  }
  std::string sentence() const {
    if (first_.empty()) return "";
    std::vector<std::string> parts;
    if (only_there_ > 0) parts.push_back(fmt::format("counts {} that are not read here", only_there_));
    if (only_here_ > 0) parts.push_back(fmt::format("leaves out {} that are read here", only_here_));
    const std::string files = fmt::format("of the files, torchvision.datasets.ImageFolder {} (the first: {})",
                                          fmt::join(parts, " and "), first_);
    if (first_id_ == read_) return files + "; they come last, so the sample ids are the same";
    return fmt::format("sample ids from {} on differ from those of ImageFolder: {}", first_id_, files);
  }

 private:
  std::int64_t read_ = 0, only_here_ = 0, only_there_ = 0, first_id_ = 0;
  std::string first_;
};

// Class numbers by the image's name without its ending.
using LabelsByStem = std::map<std::string, std::int32_t>;

std::string stem_of(const std::string& file) {
  return fs::path(file).stem().string();
}

LabelsByStem read_solution(const fs::path& path, const std::vector<std::string>& class_names) {
  LabelsByStem labels;
  const std::string text = read_file(path, kLargestLabelFile);
  for (const std::string_view line : lines_of(text)) {
    const std::size_t comma = line.find(',');
    if (comma == std::string_view::npos) continue;
    const std::string_view name = line.substr(comma + 1, line.find(' ', comma) - comma - 1);
    const auto at = std::lower_bound(class_names.begin(), class_names.end(), name);
    if (at != class_names.end() && *at == name)
      labels[std::string(line.substr(0, comma))] = static_cast<std::int32_t>(at - class_names.begin());
  }
  return labels;
}

LabelsByStem read_numbers(const fs::path& path, const std::vector<std::string>& class_names) {
  LabelsByStem labels;
  const std::string text = read_file(path, kLargestLabelFile);
  for (const std::string_view line : lines_of(text)) {
    std::istringstream words{std::string(line)};
    std::string file;
    std::int64_t number = -1;
    if (words >> file >> number && number >= 0 && number < static_cast<std::int64_t>(class_names.size()))
      labels[stem_of(file)] = static_cast<std::int32_t>(number);
  }
  return labels;
}

}  // namespace

ImageListing list_images(const std::string& folder, const std::function<void()>& poll) {
  const FolderNames top = names_in(folder);
  ImageListing listing;
  for (const std::string& name : top.folders)
    if (!is_hidden(name) && !holds_thumbnails(name)) listing.class_names.push_back(name);
  const bool loose = std::any_of(top.files.begin(), top.files.end(), is_image);
  check(!listing.class_names.empty(),
        "{} holds no class folders{}: put each class's images into a folder of its name.", folder,
        loose ? ", only loose images" : "");
  PassedOver passed_over;
  Difference difference;
  std::vector<std::int64_t> images(listing.class_names.size());
  for (const std::string& file : top.files)
    passed_over.add(is_hidden(file) ? "hidden" : "beside the class folders");
  for (const WalkedFolder& at : walk_class_folders(folder, poll)) {
    const std::int32_t label = class_number(listing.class_names, at.class_name);
    for (const std::string& name : at.files) {
      const bool read = !at.hidden && !at.thumbnails && is_image(name);
      const std::string file = at.path + "/" + name;
      difference.see(file, read, has_image_folder_name(name));
      if (read) {
        listing.files.push_back(file);
        listing.labels.push_back(label);
        ++images[static_cast<std::size_t>(label)];
      } else if (at.thumbnails) {
        passed_over.add("in @eaDir (thumbnails)");
      } else if (at.hidden) {
        passed_over.add("hidden");
      } else {
        passed_over.add_by_name(name);
      }
    }
  }
  listing.not_read = passed_over.sentence(folder);
  listing.different = difference.sentence();
  for (std::size_t c = 0; c < images.size(); ++c)
    check(images[c] > 0, "{}/{} holds no image{}: add some or remove the folder.", folder,
          listing.class_names[c], listing.not_read.empty() ? "" : fmt::format(" ({})", listing.not_read));
  return listing;
}

ImageListing list_images_by_path(const std::string& folder) {
  ImageListing listing;
  for (const std::string& name : names_in(folder).folders)
    if (!is_hidden(name)) listing.class_names.push_back(name);
  for (const WalkedFolder& at : walk_class_folders(folder))
    for (const std::string& name : at.files)
      if (!at.hidden && is_image(name) && ending_of(name) != "pgm")
        listing.files.push_back(at.path + "/" + name);
  std::sort(listing.files.begin(), listing.files.end());
  for (const std::string& file : listing.files)
    listing.labels.push_back(class_number(listing.class_names, file.substr(0, file.find('/'))));
  return listing;
}

bool in_image_folder_order(const std::vector<std::string>& files) {
  const auto parts = [](std::string_view file) {
    return std::tuple(file.substr(0, file.find('/')), file.substr(0, file.rfind('/')),
                      file.substr(file.rfind('/') + 1));
  };
  return std::is_sorted(files.begin(), files.end(),
                        [&](const std::string& a, const std::string& b) { return parts(a) < parts(b); });
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
  PassedOver passed_over;
  for (const std::string& file : names_in(folder).files) {
    if (!is_image(file)) {
      passed_over.add_by_name(file);
      continue;
    }
    const auto at = labels.find(stem_of(file));
    check(at != labels.end(), "{} does not give {}/{} a class that train has: correct it.", path.string(),
          folder, file);
    listing.files.push_back(file);
    listing.labels.push_back(at->second);
  }
  listing.not_read = passed_over.sentence(folder);
  return listing;
}

bool has_loose_images(const std::string& folder) {
  const FolderNames names = names_in(folder);
  return std::all_of(names.folders.begin(), names.folders.end(),
                     [](const std::string& name) { return is_hidden(name) || holds_thumbnails(name); }) &&
         std::any_of(names.files.begin(), names.files.end(), is_image);
}

}  // namespace tdds
