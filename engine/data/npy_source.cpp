#include "engine/data/npy_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <utility>

#include "engine/io/archive.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".npy";
constexpr std::int64_t kMaxSide = 1024, kMaxClasses = 100'000;

// Collects the reasons why an array cannot be used, and the lines of numpy that convert it.
class Conversion {
 public:
  explicit Conversion(const NpyReader& reader) : reader_(reader) {}

  void needs(const std::string& reason, const std::string& line) {
    reasons_.push_back(reason);
    lines_.push_back(line);
  }
  void throw_if_needed() const {
    check(reasons_.empty(), "{} holds {}; convert it and save it again: {}.", reader_.path(),
          fmt::join(reasons_, " and "), fmt::join(lines_, ", then "));
  }

 private:
  const NpyReader& reader_;
  std::vector<std::string> reasons_, lines_;
};

std::string shape_of(const NpyReader& reader) {
  return fmt::format("[{}]", fmt::join(reader.shape(), ", "));
}

bool is_float(const NpyReader& reader) {
  return reader.descr()[1] == 'f';
}

bool is_side(std::int64_t extent) {
  return extent >= 1 && extent <= kMaxSide;
}

void check_images(const NpyReader& reader) {
  const std::vector<std::int64_t>& shape = reader.shape();
  const auto is_channels = [&](std::size_t axis) { return shape[axis] == 1 || shape[axis] == 3; };
  Conversion conversion(reader);
  if (shape.size() == 4 && is_channels(1) && !is_channels(3))
    conversion.needs(fmt::format("images with their channels first, {}", shape_of(reader)),
                     "images = images.transpose(0, 2, 3, 1)");
  else if (shape.size() == 4 && shape[3] == 4)
    conversion.needs(fmt::format("images with four channels, {}", shape_of(reader)),
                     "images = images[..., :3]");
  else
    check((shape.size() == 3 || (shape.size() == 4 && is_channels(3))) && shape[0] > 0 && is_side(shape[1]) &&
              is_side(shape[2]),
          "{} has the shape {}, but images need [N,H,W,3] or [N,H,W] with sides up to {}: reshape or scale "
          "them.",
          reader.path(), shape_of(reader), kMaxSide);
  const std::string& type = reader.descr();
  if (is_float(reader))
    conversion.needs(fmt::format("floats ('{}')", type),
                     "images = (images * 255).round().astype(numpy.uint8), for values from 0 to 1");
  else if (type[1] == 'b')
    conversion.needs("bools", "images = images.astype(numpy.uint8) * 255");
  else if (type != "|u1")
    conversion.needs(fmt::format("numbers of type '{}'", type), "images = images.astype(numpy.uint8)");
  else if (reader.fortran_order())
    conversion.needs("columns first (Fortran order)", "images = numpy.ascontiguousarray(images)");
  conversion.throw_if_needed();
}

template <class T>
std::vector<std::int32_t> labels_as(const NpyReader& reader) {
  std::vector<T> raw(static_cast<std::size_t>(reader.elements()));
  reader.read(0, reader.elements(), raw.data());
  std::vector<std::int32_t> labels;
  labels.reserve(raw.size());
  for (std::size_t row = 0; row < raw.size(); ++row) {
    check(std::int64_t{raw[row]} >= 0 && std::int64_t{raw[row]} < kMaxClasses,
          "{}, row {}: the label {} is not in 0 .. {}: number the classes from 0.", reader.path(), row,
          std::int64_t{raw[row]}, kMaxClasses - 1);
    labels.push_back(static_cast<std::int32_t>(raw[row]));
  }
  return labels;
}

constexpr std::pair<std::string_view, std::vector<std::int32_t> (*)(const NpyReader&)> kLabelTypes[] = {
    {"|u1", labels_as<std::uint8_t>}, {"|i1", labels_as<std::int8_t>},   {"<u2", labels_as<std::uint16_t>},
    {"<i2", labels_as<std::int16_t>}, {"<u4", labels_as<std::uint32_t>}, {"<i4", labels_as<std::int32_t>},
    {"<i8", labels_as<std::int64_t>}};

}  // namespace

NpySource::NpySource(std::string path, std::int64_t max_bytes)
    : path_(std::move(path)), bytes_left_(max_bytes) {
  std::error_code ignored;
  is_npz_ = fs::is_regular_file(path_, ignored);
  if (!is_npz_) return;
  read_archive(
      path_,
      [&](const std::string& member) {
        if (member.ends_with(kEnding)) arrays_.push_back(member.substr(0, member.size() - kEnding.size()));
        return false;
      },
      0);
}

bool NpySource::holds(const std::string& array) const {
  if (is_npz_) return std::find(arrays_.begin(), arrays_.end(), array) != arrays_.end();
  return fs::exists(label(array));
}

std::string NpySource::label(const std::string& array) const {
  return (fs::path(path_) / (array + std::string(kEnding))).string();
}

NpyReader NpySource::open(const std::string& array) {
  if (!is_npz_) return NpyReader(label(array));
  check(holds(array), "{} holds no array {}; it holds: {}", path_, array, fmt::join(arrays_, ", "));
  auto members = read_archive(
      path_, [&](const std::string& member) { return member == array + std::string(kEnding); },
      static_cast<std::uint64_t>(bytes_left_));
  std::string& bytes = members.begin()->second;
  bytes_left_ -= static_cast<std::int64_t>(bytes.size());
  return {label(array), std::move(bytes)};
}

std::vector<std::string> NpySource::others(const std::vector<std::string>& known) const {
  std::vector<std::string> others;
  std::copy_if(arrays_.begin(), arrays_.end(), std::back_inserter(others), [&](const std::string& array) {
    return std::find(known.begin(), known.end(), array) == known.end();
  });
  return others;
}

NpyImages read_npy_images(const NpyReader& reader) {
  check_images(reader);
  const std::vector<std::int64_t>& shape = reader.shape();
  NpyImages images{static_cast<int>(shape[1]), static_cast<int>(shape[2]), {}};
  const std::size_t repeats = shape.size() == 4 && shape[3] == 3 ? 1 : 3;
  std::vector<std::uint8_t> stored(static_cast<std::size_t>(reader.elements()));
  reader.read(0, reader.elements(), stored.data());
  if (repeats == 1) {
    images.pixels = std::move(stored);
    return images;
  }
  images.pixels.resize(repeats * stored.size());
  for (std::size_t i = 0; i < images.pixels.size(); ++i) images.pixels[i] = stored[i / repeats];
  return images;
}

std::vector<std::int32_t> read_npy_labels(const NpyReader& reader) {
  const std::vector<std::int64_t>& shape = reader.shape();
  Conversion conversion(reader);
  if (shape.size() == 2 && shape[1] != 1)
    conversion.needs(fmt::format("{} numbers per image, where one label is needed", shape[1]),
                     "labels = labels.argmax(1), for one-hot rows");
  else
    check(shape.size() == 1 || shape.size() == 2,
          "{} has the shape {}, but labels need [N] or [N,1]: reshape it.", reader.path(), shape_of(reader));
  for (const auto& [type, read] : kLabelTypes)
    if (reader.descr() == type) {
      conversion.throw_if_needed();
      return read(reader);
    }
  if (shape.size() == 1 || shape[1] == 1)
    conversion.needs(fmt::format("labels of type '{}'", reader.descr()),
                     "labels = labels.astype(numpy.int64)");
  conversion.throw_if_needed();
  return {};
}

}  // namespace tdds
