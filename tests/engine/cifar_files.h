#pragma once
// Small CIFAR sets written in each published form, for tests.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/engine/archive_files.h"
#include "tests/temporary_folder.h"

namespace tdds {

using test::TemporaryFolder;

using Files = std::map<std::string, std::string>;  // bytes by path below a folder

inline void write_files(const std::filesystem::path& folder, const Files& files) {
  for (const auto& [name, bytes] : files) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }
}

inline void write_tar_gz(const std::filesystem::path& path, const Files& files) {
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_ustar(writer);
  write_archive(writer, path.string(), files);
}

// Sample `id` of a set: its label and the value of channel c at row y, column x.
inline int cifar_label(int id, int classes) {
  return (7 * id + 3) % classes;
}
inline std::uint8_t cifar_value(int id, int c, int y, int x) {
  return static_cast<std::uint8_t>(31 * id + 85 * c + 5 * y + x);
}

inline std::string cifar_planes(int id) {
  std::string planes;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x) planes += static_cast<char>(cifar_value(id, c, y, x));
  return planes;
}

inline std::string cifar_binary(int first, int rows, int classes) {
  std::string bytes;
  for (int id = first; id < first + rows; ++id) {
    if (classes == 100) bytes += static_cast<char>(id % 20);
    bytes += static_cast<char>(cifar_label(id, classes));
    bytes += cifar_planes(id);
  }
  return bytes;
}

// The format of the published files, written by Python 2's cPickle (protocol 2, numpy 1).
inline std::string cifar_pickle(int first, int rows, int classes) {
  using namespace std::string_literals;
  const auto little = [](unsigned value) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
    return bytes;
  };
  const std::string key = classes == 100 ? "U\x0b"
                                           "fine_labels"
                                         : "U\x06"
                                           "labels";
  std::string bytes =
      "\x80\x02}q\x01(U\x0b"
      "batch_labelq\x02U\x04testq\x03"s +
      key + "q\x04]q\x05(";
  std::string data;
  for (int id = first; id < first + rows; ++id) {
    bytes += "K"s + static_cast<char>(cifar_label(id, classes));
    data += cifar_planes(id);
  }
  bytes +=
      "eU\x04"
      "dataq\x06"
      "cnumpy.core.multiarray\n_reconstruct\nq\x07"
      "cnumpy\nndarray\nq\x08K\x00\x85U\x01"
      "b\x87Rq\x09(K\x01J"s +
      little(rows) +
      "M\x00\x0c\x86"
      "cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ"
      "\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"s +
      little(static_cast<unsigned>(data.size())) + data + "tbu.";
  return bytes;
}

// {'label_names': [...]} or {'fine_label_names': [...]}, protocol 0.
inline std::string cifar_names_pickle(int classes) {
  std::string bytes =
      classes == 100 ? "(dp1\nS'fine_label_names'\np2\n(lp3\n" : "(dp1\nS'label_names'\np2\n(lp3\n";
  for (int c = 0; c < classes; ++c)
    bytes += "S'name " + std::to_string(c) + "'\np" + std::to_string(c + 4) + "\na";
  return bytes + "s.";
}
inline std::string cifar_names_text(int classes) {
  std::string text;
  for (int c = 0; c < classes; ++c) text += "name " + std::to_string(c) + "\n";
  return text + "\n";
}

// Every file of one form with 10 training rows (ids 0 .. 9) and 4 test rows (ids 100 .. 103).
inline Files cifar_form(int classes, bool pickled) {
  const auto rows = pickled ? cifar_pickle : cifar_binary;
  Files files;
  if (classes == 100) {
    const std::string folder = pickled ? "cifar-100-python/" : "cifar-100-binary/",
                      end = pickled ? "" : ".bin";
    files[folder + "train" + end] = rows(0, 10, 100);
    files[folder + "test" + end] = rows(100, 4, 100);
    files[folder + (pickled ? "meta" : "fine_label_names.txt")] =
        pickled ? cifar_names_pickle(100) : cifar_names_text(100);
    return files;
  }
  const std::string folder = pickled ? "cifar-10-batches-py/" : "cifar-10-batches-bin/",
                    end = pickled ? "" : ".bin";
  for (int batch = 0; batch < 5; ++batch) {
    std::string name = folder;
    name.append("data_batch_").append(std::to_string(batch + 1)).append(end);
    files[name] = rows(2 * batch, 2, 10);
  }
  files[folder + "test_batch" + end] = rows(100, 4, 10);
  files[folder + (pickled ? "batches.meta" : "batches.meta.txt")] =
      pickled ? cifar_names_pickle(10) : cifar_names_text(10);
  return files;
}

}  // namespace tdds
