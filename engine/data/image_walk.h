#pragma once
// Every file below a folder of class folders, in the order in which torchvision.datasets.ImageFolder visits
// them.

#include <functional>
#include <string>
#include <vector>

namespace tdds {

// The names in one folder, sorted by bytes, which is Python's order for names in UTF-8. Hidden ones are
// included.
struct FolderNames {
  std::vector<std::string> folders, files;  // a link counts as what it points to; a broken one as a file
};
FolderNames names_in(const std::string& folder);

// Names that begin with a dot.
bool is_hidden(const std::string& name);
// Folders of thumbnails that a NAS leaves beside pictures.
bool holds_thumbnails(const std::string& folder_name);

struct WalkedFolder {
  std::string class_name;
  std::string path;                         // below the root, the class folder first
  bool hidden = false, thumbnails = false;  // it, or a folder above it
  std::vector<std::string> files;           // names, sorted by bytes
};

// All folders below `root`, sorted as ImageFolder does: by class, then by the path as a string, in which any
// character may sort before '/'. Symbolic links are followed. Throws Error that names a link to a folder
// above it or an unreadable folder; within hidden folders and thumbnail folders, both are skipped. `poll` is
// called between entries.
std::vector<WalkedFolder> walk_class_folders(const std::string& root, const std::function<void()>& poll = {});

}  // namespace tdds
