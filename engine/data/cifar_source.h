#pragma once
// Finds the files of a CIFAR set in a folder, its sub-folders or an archive, or downloads them.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace tdds {

// One published form of one set.
struct CifarForm {
  std::string set;      // "cifar10"
  std::string folder;   // "cifar-10-batches-bin"
  std::string archive;  // "cifar-10-binary.tar.gz"
  std::string archive_md5;
  std::vector<std::string> train;  // files, in row order
  std::string test;
  std::string names;  // file of the class names
  bool pickled;
};

// A form and the contents of its files, by file name.
struct CifarSource {
  const CifarForm* form = nullptr;
  std::string place;  // the folder or archive, for messages
  std::map<std::string, std::string> files;
  std::vector<std::string> notes;

  const std::string& file(const std::string& name) const { return files.at(name); }
  std::string label(const std::string& name) const { return place + "/" + name; }
};

// Reads the first complete form under options.data_path. Throws Error if there is no such form.
CifarSource find_cifar(const DatasetOptions& options);

}  // namespace tdds
