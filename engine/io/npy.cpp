#include "engine/io/npy.h"

#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/io/atomic_file.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kMaxHeaderBytes = 1 << 16;  // numpy writes 118 for a plain array
constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;

const char* descr_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "<f4";
    case DType::kI32:
      return "<i4";
    case DType::kI64:
      return "<i8";
    case DType::kU8:
      return "|u1";
    default:
      throw Error(fmt::format(".npy arrays of {} are not supported", to_string(dtype)));
  }
}

// The Python dictionary in the header: {'descr': '<f4', 'fortran_order': False, 'shape': (50000, 100), }
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& path) : text_(text), path_(path) { parse(); }

  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;

 private:
  [[noreturn]] void malformed() const {
    throw Error(fmt::format("{} has a malformed .npy header; write it again with numpy.save", path_));
  }
  void skip_space() {
    while (at_ < text_.size() && std::strchr(" \n\t\r", text_[at_]) && text_[at_]) ++at_;
  }
  bool take(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void expect(std::string_view word) {
    if (!take(word)) malformed();
  }
  std::string quoted() {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) malformed();
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) malformed();
    std::string word(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return word;
  }
  std::int64_t whole_number() {
    skip_space();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc{}) malformed();
    at_ = static_cast<std::size_t>(end - text_.data());
    take("L");  // as Python 2 wrote it
    return value;
  }

  void parse_shape() {
    expect("(");
    while (!take(")")) {
      shape.push_back(whole_number());
      if (shape.size() > 32) malformed();
      if (!take(",")) {
        expect(")");
        break;
      }
    }
  }
  void parse_descr() {
    if (take("[")) {
      throw Error(fmt::format("{} holds a structured array; a plain one is expected", path_));
    }
    descr = quoted();
  }
  void parse() {
    bool seen_descr = false, seen_order = false, seen_shape = false;
    expect("{");
    while (!take("}")) {
      const std::string key = quoted();
      expect(":");
      if (key == "descr" && !std::exchange(seen_descr, true)) {
        parse_descr();
      } else if (key == "fortran_order" && !std::exchange(seen_order, true)) {
        fortran_order = take("True");
        if (!fortran_order) expect("False");
      } else if (key == "shape" && !std::exchange(seen_shape, true)) {
        parse_shape();
      } else {
        malformed();
      }
      if (!take(",")) {
        expect("}");
        break;
      }
    }
    skip_space();
    if (at_ != text_.size() || !seen_descr || !seen_order || !seen_shape) malformed();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const std::string& path_;
};

std::string shape_words(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// The item size of a type: 4 for "<f4". Python's objects, text and dates are refused.
std::size_t item_bytes_of(const std::string& descr, const std::string& path) {
  std::size_t bytes = 0;
  const bool has_kind =
      descr.size() >= 3 && std::string_view("biufc").find(descr[1]) != std::string_view::npos;
  const char* end = descr.data() + descr.size();
  const bool is_number = has_kind && std::from_chars(descr.data() + 2, end, bytes).ptr == end;
  check(is_number && bytes >= 1 && bytes <= 32, "{} holds elements of type '{}'; numbers are expected", path,
        descr);
  return bytes;
}

std::int64_t count_elements(const std::vector<std::int64_t>& shape, const std::string& path) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    const bool sane =
        extent >= 0 && extent <= kMaxElements && (extent == 0 || elements <= kMaxElements / extent);
    check(sane, "{} claims the impossible shape {}; the file is damaged", path, shape_words(shape));
    elements *= extent;
  }
  return elements;
}

template <class T>
std::vector<T> read_vector(const std::string& path, DType dtype) {
  const NpyReader reader(path, dtype, 1);
  std::vector<T> values(static_cast<std::size_t>(reader.elements()));
  reader.read(0, reader.elements(), values.data());
  return values;
}

void write_array(const std::string& path, const void* data, std::size_t count, DType dtype,
                 const std::vector<std::int64_t>& shape) {
  check(count_elements(shape, path) == static_cast<std::int64_t>(count),
        "{}: {} values do not have the shape {}", path, count, shape_words(shape));
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   descr_of(dtype), fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr std::size_t kPrefix = 10, kAlignment = 64;
  header.append(kAlignment - 1 - (kPrefix + header.size()) % kAlignment, ' ');
  header += '\n';

  AtomicFile file(path);
  file.write(kMagic);
  const unsigned char version_and_length[4] = {1, 0, static_cast<unsigned char>(header.size() & 255),
                                               static_cast<unsigned char>(header.size() >> 8)};
  file.write(version_and_length, sizeof(version_and_length));
  file.write(header);
  file.write(data, count * element_size(dtype));
  file.commit();
}

}  // namespace

NpyReader::NpyReader(const std::string& path) : path_(path), file_(path) {
  check_length(parse_header());
}

NpyReader::NpyReader(std::string name, std::string bytes) : path_(std::move(name)), bytes_(std::move(bytes)) {
  check_length(parse_header());
}

NpyReader::NpyReader(const std::string& path, DType dtype, int rank) : path_(path), file_(path) {
  const std::int64_t file_bytes = parse_header();
  const std::string wanted = descr_of(dtype);
  check(descr_[0] != '>', "{} is big-endian ('{}'); '{}' is expected: array.astype('{}')", path, descr_,
        wanted, wanted);
  check(descr_ == wanted, "{} holds numbers of type '{}'; '{}' ({}) is expected", path, descr_, wanted,
        to_string(dtype));
  check(!fortran_order_,
        "{} is stored column by column (Fortran order); save it again with numpy.ascontiguousarray", path);
  check(static_cast<int>(shape_.size()) == rank, "{} has shape {}; {} dimension{} expected", path,
        shape_words(shape_), rank, rank == 1 ? " is" : "s are");
  check_length(file_bytes);  // last: a wrong type also causes a wrong length
}

std::int64_t NpyReader::parse_header() {
  const auto file_bytes = static_cast<std::int64_t>(file_ ? file_->bytes() : bytes_.size());
  unsigned char prefix[12] = {};
  const std::int64_t prefix_bytes = std::min<std::int64_t>(file_bytes, sizeof(prefix));
  read_bytes(prefix, static_cast<std::size_t>(prefix_bytes), 0);
  check(prefix_bytes >= 6 && std::memcmp(prefix, kMagic.data(), kMagic.size()) == 0,
        "{} is not a .npy file (its first bytes are not \\x93NUMPY)", path_);
  const int version = prefix[6];
  const int length_bytes = version == 1 ? 2 : 4;
  const bool whole = prefix_bytes >= 8 + length_bytes;
  check(!whole || (version >= 1 && version <= 3), "{} is of the unknown .npy version {}", path_, version);
  std::int64_t length = 0;
  for (int i = length_bytes - 1; i >= 0; --i) length = length << 8 | prefix[8 + i];
  data_offset_ = 8 + length_bytes + length;
  check(!whole || length <= kMaxHeaderBytes, "{} claims a header of {} bytes; the file is damaged", path_,
        length);
  check(whole && data_offset_ <= file_bytes, "{} is truncated within its header", path_);

  std::string text(static_cast<std::size_t>(length), '\0');
  read_bytes(text.data(), text.size(), 8 + length_bytes);
  HeaderText header(text, path_);
  item_bytes_ = static_cast<std::int64_t>(item_bytes_of(header.descr, path_));
  elements_ = count_elements(header.shape, path_);
  descr_ = std::move(header.descr);
  fortran_order_ = header.fortran_order;
  shape_ = std::move(header.shape);
  return file_bytes;
}

void NpyReader::check_length(std::int64_t file_bytes) const {
  const std::int64_t expected = data_offset_ + elements_ * item_bytes_;
  check(file_bytes >= expected, "{} is truncated: its shape {} needs {} bytes and it has {}", path_,
        shape_words(shape_), expected, file_bytes);
  check(file_bytes == expected, "{} has {} bytes more than its shape {} needs; the file is damaged", path_,
        file_bytes - expected, shape_words(shape_));
}

void NpyReader::read(std::int64_t first, std::int64_t count, void* out) const {
  check(first >= 0 && count >= 0 && first + count <= elements_,
        "{}: elements {} to {} were requested; there are {}", path_, first, first + count, elements_);
  read_bytes(out, static_cast<std::size_t>(count * item_bytes_), data_offset_ + first * item_bytes_);
}

void NpyReader::read_bytes(void* out, std::size_t bytes, std::int64_t offset) const {
  if (file_)
    file_->read(static_cast<std::uint64_t>(offset), out, bytes);
  else
    std::memcpy(out, bytes_.data() + offset, bytes);
}

std::vector<float> read_npy_f32(const std::string& path) {
  return read_vector<float>(path, DType::kF32);
}

std::vector<std::int64_t> read_npy_i64(const std::string& path) {
  return read_vector<std::int64_t>(path, DType::kI64);
}

void write_npy(const std::string& path, std::span<const float> values,
               const std::vector<std::int64_t>& shape) {
  write_array(path, values.data(), values.size(), DType::kF32, shape);
}

void write_npy(const std::string& path, std::span<const std::int64_t> values,
               const std::vector<std::int64_t>& shape) {
  write_array(path, values.data(), values.size(), DType::kI64, shape);
}

}  // namespace tdds
