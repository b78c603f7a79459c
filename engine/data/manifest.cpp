#include "engine/manifest.h"

#include <charconv>
#include <optional>
#include <string_view>

#include "engine/files.h"
#include "engine/hash.h"
#include "kernels/check.h"

namespace tdds {

namespace {

constexpr std::string_view kHead = "# tdds manifest 1: label, bytes, path of every training row\n";
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

std::string rows_of(const Manifest& manifest) {
  std::string text = manifest.altered.empty() ? "" : std::string(kAltered) + manifest.altered + "\n";
  for (std::size_t row = 0; row < manifest.files.size(); ++row)
    text +=
        fmt::format("{}\t{}\t{}\n", manifest.labels[row], manifest.bytes[row], escaped(manifest.files[row]));
  return text;
}

void take_row(std::string_view line, Manifest& manifest, const std::string& path, std::size_t number) {
  std::int32_t label = 0;
  std::uint64_t bytes = 0;
  const bool sound = take_number(line, label) && take_number(line, bytes) && label >= 0 && !line.empty();
  const std::optional<std::string> file = sound ? unescaped(line) : std::nullopt;
  check(file.has_value(), "{}, line {}: there is no label, size and path; restore the file", path, number);
  manifest.labels.push_back(label);
  manifest.bytes.push_back(bytes);
  manifest.files.push_back(*file);
}

}  // namespace

std::string Manifest::text() const {
  return std::string(kHead) + std::string(kFolder) + escaped(folder) + "\n" + rows_of(*this);
}

std::string Manifest::hash() const {
  const std::string rows = rows_of(*this);
  Hash hash(HashKind::kSha256);
  hash.add(rows.data(), rows.size());
  return hash.hex();
}

Manifest read_manifest(const std::string& path) {
  const std::string bytes = read_file(path, kLargest);
  check(bytes.starts_with(kHead), "{} is no manifest: its first line is not '{}'", path,
        kHead.substr(0, kHead.size() - 1));
  Manifest manifest;
  std::string_view rest = std::string_view(bytes).substr(kHead.size());
  for (std::size_t number = 2; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    check(end != std::string_view::npos, "{}, line {}: it was cut short; restore the file", path, number);
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line.starts_with(kFolder))
      manifest.folder = unescaped(line.substr(kFolder.size())).value_or("");
    else if (line.starts_with(kAltered))
      manifest.altered = line.substr(kAltered.size());
    else
      take_row(line, manifest, path, number);
  }
  return manifest;
}

}  // namespace tdds
