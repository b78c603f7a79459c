#include "engine/data/image_walk.h"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "engine/io/system_reason.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

// Whether `folder` is `above` or lies below it; both are canonical.
bool lies_in(const std::string& folder, const std::string& above) {
  return folder.starts_with(above) &&
         (folder.size() == above.size() || above.ends_with('/') || folder[above.size()] == '/');
}

class Walk {
 public:
  Walk(const std::string& root, const std::function<void()>& poll) : root_(root), poll_(poll) {}

  // Adds the folder and those below it. `entered` are the canonical paths of the folders above it.
  void add(const WalkedFolder& at, std::vector<std::string>& entered) {
    if (poll_) poll_();
    const fs::path path = root_ / at.path;
    const bool passed_over = at.hidden || at.thumbnails;
    std::error_code error;
    const bool is_link = fs::is_symlink(path, error);
    const std::string real =
        is_link ? fs::canonical(path, error).string() : (fs::path(entered.back()) / path.filename()).string();
    if (is_link && std::any_of(entered.begin(), entered.end(),
                               [&](const std::string& folder) { return lies_in(folder, real); })) {
      check(passed_over,
            "{} is a link to {}, a folder above it, so its images would be counted many times: remove the "
            "link.",
            path.string(), real);
      return;
    }
    FolderNames names;
    try {
      names = names_in(path.string());
    } catch (const Error&) {
      if (!passed_over) throw;
    }
    entered.push_back(real);
    for (const std::string& name : names.folders)
      add({at.class_name,
           at.path + "/" + name,
           at.hidden || is_hidden(name),
           at.thumbnails || holds_thumbnails(name),
           {}},
          entered);
    entered.pop_back();
    folders_.push_back(at);
    folders_.back().files = std::move(names.files);
  }

  std::vector<WalkedFolder> sorted() {
    std::sort(folders_.begin(), folders_.end(), [](const WalkedFolder& a, const WalkedFolder& b) {
      return std::tie(a.class_name, a.path) < std::tie(b.class_name, b.path);
    });
    return std::move(folders_);
  }

 private:
  fs::path root_;
  const std::function<void()>& poll_;
  std::vector<WalkedFolder> folders_;
};

}  // namespace

bool is_hidden(const std::string& name) {
  return name.starts_with('.');
}

bool holds_thumbnails(const std::string& folder_name) {
  return folder_name == "@eaDir";
}

FolderNames names_in(const std::string& folder) {
  FolderNames names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    (it->is_directory(ignored) ? names.folders : names.files).push_back(it->path().filename().string());
  }
  check(!error, "{} cannot be read: {}.", folder,
        system_reason(error.value(), "check that it exists and is readable"));
  std::sort(names.folders.begin(), names.folders.end());
  std::sort(names.files.begin(), names.files.end());
  return names;
}

std::vector<WalkedFolder> walk_class_folders(const std::string& root, const std::function<void()>& poll) {
  Walk walk(root, poll);
  std::error_code ignored;
  std::vector<std::string> entered{fs::canonical(root, ignored).string()};
  for (const std::string& name : names_in(root).folders)
    walk.add({name, name, is_hidden(name), holds_thumbnails(name), {}}, entered);
  return walk.sorted();
}

}  // namespace tdds
