#include "engine/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "engine/io/files.h"
#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the limit of the reference implementation
constexpr char kMetadataKey[] = "__metadata__";

const char* format_name(DType type) {
  switch (type) {
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBf16:
      return "BF16";
    case DType::kF64:
      return "F64";
    case DType::kI32:
      return "I32";
    case DType::kI64:
      return "I64";
    case DType::kU8:
      return "U8";
  }
  throw Error("format_name: not an element type");
}

std::optional<DType> type_called(std::string_view name) {
  if (name == "BOOL") return DType::kU8;
  for (DType type :
       {DType::kF32, DType::kF16, DType::kBf16, DType::kF64, DType::kI32, DType::kI64, DType::kU8})
    if (name == format_name(type)) return type;
  return std::nullopt;
}

// product(shape) * element size, or nullopt if a dimension is negative or the product overflows.
std::optional<std::uint64_t> bytes_of(DType dtype, std::span<const std::int64_t> shape) {
  std::uint64_t bytes = element_size(dtype);
  for (std::int64_t n : shape)
    if (n < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(n), &bytes)) return std::nullopt;
  return bytes;
}

std::string header_text(std::span<const NamedTensor> tensors, const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::uint64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    const auto bytes = bytes_of(tensor.dtype, tensor.shape);
    check(bytes.has_value(), "write_safetensors: the shape of {} is impossible", tensor.name);
    check(!header.contains(tensor.name), "write_safetensors: two tensors are called {}", tensor.name);
    header[tensor.name] = {{"dtype", format_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
  }
  std::string text = header.dump();
  text.resize(round_up(text.size(), 8), ' ');  // keeps the data aligned
  return text;
}

// Parses and validates a header from an untrusted file.
class HeaderParser {
 public:
  HeaderParser(std::string file_name, std::uint64_t data_begin, std::uint64_t file_bytes)
      : file_name_(std::move(file_name)), data_begin_(data_begin), data_bytes_(file_bytes - data_begin) {}

  void parse(const std::string& text) {
    const nlohmann::json header = json(text);
    expect(header.is_object(), "its header is not a JSON object");
    for (const auto& [name, entry] : header.items()) {
      if (name == kMetadataKey)
        add_metadata(entry);
      else
        add_tensor(name, entry);
    }
    check_coverage();
  }

  Metadata metadata;
  std::vector<StoredTensor> tensors;

 private:
  void expect(bool ok, const std::string& problem) const {
    check(ok, "{} is not a usable safetensors file: {}", file_name_, problem);
  }

  // Refuses what nlohmann's parser accepts: duplicate names, of which it keeps the last, and deep nesting.
  nlohmann::json json(const std::string& text) const {
    std::set<std::string> names;
    const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
      expect(depth <= 4, "its header is nested too deeply");
      if (event == nlohmann::json::parse_event_t::key && depth == 1)
        expect(names.insert(value.get<std::string>()).second,
               fmt::format("its header names {} twice", value.get<std::string>()));
      return true;
    };
    try {
      return nlohmann::json::parse(text, watch);
    } catch (const nlohmann::json::exception&) {
      expect(false, "its header is not valid JSON; the file is damaged");
      throw;
    }
  }

  void add_metadata(const nlohmann::json& entry) {
    expect(entry.is_object(), "its metadata is not a JSON object");
    for (const auto& [key, value] : entry.items()) {
      expect(value.is_string(), fmt::format("its metadata entry {} is not a string", key));
      metadata[key] = value.get<std::string>();
    }
  }

  void add_tensor(const std::string& name, const nlohmann::json& entry) {
    expect(entry.is_object() && entry.size() == 3 && entry.contains("dtype") && entry["dtype"].is_string() &&
               entry.contains("shape") && entry["shape"].is_array() && entry.contains("data_offsets") &&
               entry["data_offsets"].is_array() && entry["data_offsets"].size() == 2,
           fmt::format("its entry for {} lacks dtype, shape or data_offsets", name));
    const auto type_name = entry["dtype"].get<std::string>();
    const auto dtype = type_called(type_name);
    expect(dtype.has_value(),
           fmt::format("{} has the element type {}, which is not supported; F64, F32, F16, "
                       "BF16, I64, I32, U8 and BOOL are",
                       name, type_name));
    std::vector<std::int64_t> shape;
    for (const auto& n : entry["shape"]) shape.push_back(static_cast<std::int64_t>(whole(n, name)));
    const std::uint64_t begin = whole(entry["data_offsets"][0], name);
    const std::uint64_t end = whole(entry["data_offsets"][1], name);
    expect(begin <= end && end <= data_bytes_,
           fmt::format("the data of {} lies outside the file, bytes {} to {} of {}; the file is cut short or "
                       "damaged",
                       name, begin, end, data_bytes_));
    const auto bytes = bytes_of(*dtype, shape);
    expect(bytes == end - begin, fmt::format("{} has {} bytes of data, but its shape [{}] of {} needs {}",
                                             name, end - begin, fmt::join(shape, ", "), type_name,
                                             bytes ? std::to_string(*bytes) : "more than a file can have"));
    tensors.push_back({name, *dtype, std::move(shape), data_begin_ + begin, end - begin});
  }

  std::uint64_t whole(const nlohmann::json& number, const std::string& name) const {
    expect(number.is_number_unsigned() &&
               number.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()},
           fmt::format("a size or an offset of {} is not a whole number of at least 0", name));
    return number.get<std::uint64_t>();
  }

  void check_coverage() {
    // Sorted by end as well, because an empty tensor has the same offset as the next one.
    std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
      return std::pair(a.begin, a.begin + a.bytes) < std::pair(b.begin, b.begin + b.bytes);
    });
    std::uint64_t at = data_begin_;
    for (const StoredTensor& tensor : tensors) {
      expect(tensor.begin == at,
             fmt::format("the data of {} {}", tensor.name,
                         tensor.begin < at ? "overlaps another tensor's" : "begins after a gap"));
      at += tensor.bytes;
    }
    expect(at == data_begin_ + data_bytes_,
           fmt::format("{} bytes follow its last tensor", data_begin_ + data_bytes_ - at));
  }

  std::string file_name_;
  std::uint64_t data_begin_, data_bytes_;
};

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const Metadata& metadata) {
  std::vector<NamedTensor> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const NamedTensor& a, const NamedTensor& b) {
    return element_size(a.dtype) > element_size(b.dtype);
  });
  for (const NamedTensor& tensor : ordered)
    check(tensor.name != kMetadataKey, "write_safetensors: no tensor can be called {}", kMetadataKey);
  const std::string header = header_text(ordered, metadata);
  const std::uint64_t length = header.size();
  write_file_atomically(path, [&](AtomicFile& file) {
    file.write(&length, kLengthBytes);
    file.write(header);
    for (const NamedTensor& tensor : ordered) file.write(tensor.data, *bytes_of(tensor.dtype, tensor.shape));
  });
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : file_(std::move(path)) {
  const std::string name = file_.path().string();
  check(file_.bytes() >= kLengthBytes, "{} is not a safetensors file: it has only {} bytes", name,
        file_.bytes());
  std::uint64_t length = 0;
  file_.read(0, &length, kLengthBytes);
  check(length <= kLongestHeader && length <= file_.bytes() - kLengthBytes,
        "{} is not a safetensors file, or is cut short: its header would be {} bytes long, the file has {}",
        name, length, file_.bytes());
  std::string text(length, '\0');
  file_.read(kLengthBytes, text.data(), length);
  HeaderParser parser(name, kLengthBytes + length, file_.bytes());
  parser.parse(text);
  metadata_ = std::move(parser.metadata);
  tensors_ = std::move(parser.tensors);
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const StoredTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

const StoredTensor& SafetensorsFile::at(std::string_view name) const {
  const StoredTensor* tensor = find(name);
  check(tensor != nullptr, "{} has no tensor called {}", path().string(), name);
  return *tensor;
}

void SafetensorsFile::read(const StoredTensor& tensor, void* to) const {
  file_.read(tensor.begin, to, tensor.bytes);
}

void SafetensorsFile::read(std::string_view name, DType dtype, std::span<const std::int64_t> shape,
                           void* to) const {
  const StoredTensor& tensor = at(name);
  check(tensor.dtype == dtype &&
            std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()),
        "{} holds {} as {} [{}], but {} [{}] is needed; it belongs to another network or another version",
        path().string(), name, to_string(tensor.dtype), fmt::join(tensor.shape, ", "), to_string(dtype),
        fmt::join(shape, ", "));
  read(tensor, to);
}

}  // namespace tdds
