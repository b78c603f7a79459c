#pragma once
// The project's sources as text, for the tests that check them against rules.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/paths.h"

namespace tdds::test {

struct SourceFile {
  std::string path;  // from the root, with '/'
  std::string text;

  bool under(const std::string& folder) const { return path.starts_with(folder + "/"); }
  bool has_extension(const std::string& extension) const { return path.ends_with(extension); }
};

// All .h, .cpp and .cu files below the folders, sorted by path.
inline std::vector<SourceFile> read_sources(const std::vector<std::string>& folders) {
  namespace fs = std::filesystem;
  const fs::path root = source_path("");
  std::vector<SourceFile> sources;
  for (const std::string& folder : folders)
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu") continue;
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      sources.push_back({fs::relative(entry.path(), root).generic_string(), text.str()});
    }
  std::sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return sources;
}

// Replaces comments and the contents of strings and characters by blanks; lines keep their numbers.
inline std::string without_comments(const std::string& text) {
  std::string code = text;
  enum { kCode, kLine, kBlock, kString, kChar } state = kCode;
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = code[i], next = i + 1 < code.size() ? code[i + 1] : '\0';
    const auto blank = [&](std::size_t at) {
      if (code[at] != '\n') code[at] = ' ';
    };
    switch (state) {
      case kCode:
        // An apostrophe between digits separates thousands.
        if (c == '/' && next == '/')
          state = kLine;
        else if (c == '/' && next == '*')
          state = kBlock;
        else if (c == '"')
          state = kString;
        else if (c == '\'' && !(i > 0 && std::isxdigit(static_cast<unsigned char>(code[i - 1]))))
          state = kChar;
        if (state == kLine || state == kBlock) {
          blank(i);
          blank(++i);
        }
        break;
      case kLine:
        if (c == '\n') state = kCode;
        blank(i);
        break;
      case kBlock:
        if (c == '*' && next == '/') {
          state = kCode;
          blank(i++);
        }
        blank(i);
        break;
      case kString:
      case kChar:
        if (c == (state == kString ? '"' : '\'')) {
          state = kCode;
        } else {
          if (c == '\\') blank(i++);
          blank(i);
        }
        break;
    }
  }
  return code;
}

struct Include {
  int line;
  std::string path;
  bool quoted;
};

inline std::vector<Include> includes_of(const std::string& text) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> includes;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::smatch match;
    if (std::regex_search(line, match, kInclude)) includes.push_back({number, match[2], match[1] == "\""});
  }
  return includes;
}

struct Word {
  int line;
  std::string text;
};

// The identifiers of `code` (a file without its comments), and each "<<<".
inline std::vector<Word> words_of(const std::string& code) {
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  std::vector<Word> words;
  int line = 1;
  for (std::size_t i = 0; i < code.size(); ++i) {
    std::size_t end = i;
    while (end < code.size() && in_word(code[end])) ++end;
    if (end > i) {
      words.push_back({line, code.substr(i, end - i)});
      i = end - 1;
    } else if (code.compare(i, 3, "<<<") == 0) {
      words.push_back({line, "<<<"});
    }
    line += code[i] == '\n';
  }
  return words;
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

}  // namespace tdds::test
