#include "engine/data/manifest.h"

#include <charconv>
#include <optional>
#include <string_view>

#include "engine/io/files.h"
#include "engine/io/hash.h"
#include "engine/io/text_lines.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

constexpr std::string_view kHeadV1 = "# tdds manifest 1: label, bytes, path of every training row";
constexpr std::string_view kHead = "# tdds manifest 2: label, bytes, SHA-256, path of every training row";
constexpr std::string_view kFolder = "# folder ", kAltered = "# altered ";
constexpr std::uint64_t kLargest = std::uint64_t{1} << 32;
constexpr std::string_view kPlain = "\\\t\n\r", kMarks = "\\tnr";

std::string escaped(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const std::size_t special = kPlain.find(c);
    if (special == std::string_view::npos)
      out += c;
    else
      out.append({'\\', kMarks[special]});
  }
  return out;
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const std::size_t special = i + 1 < text.size() ? kMarks.find(text[++i]) : std::string_view::npos;
    if (special == std::string_view::npos) return std::nullopt;
    out += kPlain[special];
  }
  return out;
}

// Takes a number and the tab after it off the front of `line`.
template <class T>
bool take_number(std::string_view& line, T& value) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc{} || end == line.data() + line.size() || *end != '\t') return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
  return true;
}

// Takes 64 hex digits and the tab after them.
bool take_digest(std::string_view& line, Sha256& value) {
  constexpr std::size_t kDigits = 2 * sizeof(Sha256);
  if (line.size() <= kDigits || line[kDigits] != '\t') return false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char* at = line.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, value[i], 16);
    if (error != std::errc{} || end != at + 2) return false;
  }
  line.remove_prefix(kDigits + 1);
  return true;
}

std::string rows_of(const Manifest& manifest, bool with_contents) {
  std::string text = manifest.altered.empty() ? "" : std::string(kAltered) + escaped(manifest.altered) + "\n";
  for (std::size_t row = 0; row < manifest.files.size(); ++row)
    text +=
        fmt::format("{}\t{}\t{}{}\n", manifest.labels[row], manifest.bytes[row],
                    with_contents ? hex_of(manifest.contents[row]) + "\t" : "", escaped(manifest.files[row]));
  return text;
}

void take_row(std::string_view line, Manifest& manifest, const std::string& path, std::size_t number,
              bool with_contents) {
  std::int32_t label = 0;
  std::uint64_t bytes = 0;
  Sha256 content{};
  const bool sound = take_number(line, label) && take_number(line, bytes) &&
                     (!with_contents || take_digest(line, content)) && label >= 0 && !line.empty();
  const std::optional<std::string> file = sound ? unescaped(line) : std::nullopt;
  check(file.has_value(), "{}, line {}: expected label, size{} and path; restore the file", path, number,
        with_contents ? ", SHA-256" : "");
  manifest.labels.push_back(label);
  manifest.bytes.push_back(bytes);
  manifest.files.push_back(*file);
  if (with_contents) manifest.contents.push_back(content);
}

std::string text_after(std::string_view head, std::string_view line, const std::string& path,
                       std::size_t number) {
  const std::optional<std::string> text = unescaped(line.substr(head.size()));
  check(text.has_value(), "{}, line {}: a backslash is followed by none of \\, t, n and r; restore the file",
        path, number);
  return *text;
}

}  // namespace

std::string Manifest::text() const {
  return std::string(contents.empty() ? kHeadV1 : kHead) + "\n" + std::string(kFolder) + escaped(folder) +
         "\n" + rows_of(*this, !contents.empty());
}

std::string Manifest::hash() const {
  return hex_of(sha256_of(rows_of(*this, !contents.empty())));
}

std::string Manifest::hash_v1() const {
  return hex_of(sha256_of(rows_of(*this, false)));
}

bool Manifest::matches(const std::string& hash) const {
  return hash == this->hash() || hash == hash_v1();
}

void Manifest::keep_rows(const std::vector<std::int32_t>& rows) {
  const auto keep = [&](auto& values) {
    if (values.empty()) return;
    auto kept = values;
    kept.clear();
    for (const std::int32_t row : rows) kept.push_back(std::move(values[static_cast<std::size_t>(row)]));
    values = std::move(kept);
  };
  keep(files);
  keep(bytes);
  keep(labels);
  keep(contents);
}

Manifest read_manifest(const std::string& path) {
  const std::string bytes = read_file(path, kLargest);
  const std::vector<std::string_view> lines = lines_of(bytes);
  const bool with_contents = !lines.empty() && lines.front() == kHead;
  check(with_contents || (!lines.empty() && lines.front() == kHeadV1),
        "{} is not a manifest: its first line is not '{}'", path, kHead);
  check(bytes.ends_with('\n'), "{}, line {}: the file was cut short; restore it", path, lines.size());
  Manifest manifest;
  for (std::size_t at = 1; at < lines.size(); ++at) {
    const std::string_view line = lines[at];
    if (line.starts_with(kFolder))
      manifest.folder = text_after(kFolder, line, path, at + 1);
    else if (line.starts_with(kAltered))
      manifest.altered = text_after(kAltered, line, path, at + 1);
    else
      take_row(line, manifest, path, at + 1, with_contents);
  }
  return manifest;
}

}  // namespace tdds
