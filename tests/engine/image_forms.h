#pragma once
// One small picture in every form of every supported format, and Pillow's pixels of each
// (golden/make_forms.py).

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "engine/io/files.h"
#include "tests/paths.h"

namespace tdds {

constexpr int kFormSide = 17;

struct ImageForm {
  std::string bytes;
  std::vector<std::uint8_t> pixels;
};

// By file name.
inline const std::map<std::string, ImageForm>& image_forms() {
  static const std::map<std::string, ImageForm> kForms = [] {
    std::map<std::string, ImageForm> forms;
    const std::string folder = golden_path("forms/");
    std::ifstream lines(folder + "pillow.txt");
    std::string name, hex;
    while (lines >> name >> hex) {
      ImageForm form{.bytes = read_file(folder + name, 1 << 20), .pixels = {}};
      for (std::size_t at = 0; at < hex.size(); at += 2)
        form.pixels.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(at, 2), nullptr, 16)));
      forms[name] = std::move(form);
    }
    return forms;
  }();
  return kForms;
}

inline bool is_form_of(const std::string& name, const std::string& format) {
  return std::filesystem::path(name).extension() == "." + format;
}

}  // namespace tdds
