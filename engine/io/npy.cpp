#include "engine/npy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/atomic_file.h"
#include "kernels/check.h"

namespace tdds {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kMaxHeaderBytes = 1 << 16;  // numpy writes 118; more is no plain array
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
      throw Error(fmt::format(".npy arrays of {} are not supported", name_of(dtype)));
  }
}

void read_all(int fd, void* out, std::size_t bytes, std::int64_t offset, const std::string& path) {
  char* next = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t done = ::pread(fd, next, bytes, offset);
    if (done < 0 && errno == EINTR) continue;
    check(done >= 0, "{} cannot be read: {}", path, std::strerror(errno));
    check(done > 0, "{} was cut short while it was being read", path);
    next += done;
    offset += done;
    bytes -= static_cast<std::size_t>(done);
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

void check_type(const HeaderText& header, DType dtype, int rank, const std::string& path) {
  const std::string wanted = descr_of(dtype);
  check(header.descr.empty() || header.descr[0] != '>',
        "{} is big-endian ('{}'); '{}' is expected: array.astype('{}')", path, header.descr, wanted, wanted);
  check(header.descr == wanted, "{} holds numbers of type '{}'; '{}' ({}) is expected", path, header.descr,
        wanted, name_of(dtype));
  check(!header.fortran_order,
        "{} is stored column by column (Fortran order); save it again with numpy.ascontiguousarray", path);
  check(static_cast<int>(header.shape.size()) == rank, "{} has shape {}; {} dimension{} expected", path,
        shape_words(header.shape), rank, rank == 1 ? " is" : "s are");
}

std::int64_t count_elements(const std::vector<std::int64_t>& shape, const std::string& path) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    const bool sane =
        extent >= 0 && extent <= kMaxElements && (extent == 0 || elements <= kMaxElements / extent);
    check(sane, "{} claims the absurd shape {}; the file is damaged", path, shape_words(shape));
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
  file.write(data, count * size_of(dtype));
  file.commit();
}

}  // namespace

NpyReader::NpyReader(const std::string& path, DType dtype, int rank) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(fd_ >= 0, "{} cannot be read: {}", path, std::strerror(errno));
  try {
    struct stat status {};
    check(::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode), "{} is not a file", path);
    const std::int64_t file_bytes = status.st_size;

    unsigned char prefix[12] = {};
    const std::int64_t prefix_bytes = std::min<std::int64_t>(file_bytes, sizeof(prefix));
    read_all(fd_, prefix, static_cast<std::size_t>(prefix_bytes), 0, path);
    check(prefix_bytes >= 6 && std::memcmp(prefix, kMagic.data(), kMagic.size()) == 0,
          "{} is not a .npy file (its first bytes are not \\x93NUMPY)", path);
    const int version = prefix[6];
    const int length_bytes = version == 1 ? 2 : 4;
    const bool whole = prefix_bytes >= 8 + length_bytes;
    check(!whole || (version >= 1 && version <= 3), "{} is of the unknown .npy version {}", path, version);
    std::int64_t length = 0;
    for (int i = length_bytes - 1; i >= 0; --i) length = length << 8 | prefix[8 + i];
    data_offset_ = 8 + length_bytes + length;
    check(!whole || length <= kMaxHeaderBytes, "{} claims a header of {} bytes; the file is damaged", path,
          length);
    check(whole && data_offset_ <= file_bytes, "{} is truncated within its header", path);

    std::string text(static_cast<std::size_t>(length), '\0');
    read_all(fd_, text.data(), text.size(), 8 + length_bytes, path);
    HeaderText header(text, path);
    check_type(header, dtype, rank, path);
    elements_ = count_elements(header.shape, path);
    item_bytes_ = size_of(dtype);
    shape_ = std::move(header.shape);
    const std::int64_t expected = data_offset_ + elements_ * static_cast<std::int64_t>(item_bytes_);
    check(file_bytes >= expected, "{} is truncated: its shape {} needs {} bytes and it has {}", path,
          shape_words(shape_), expected, file_bytes);
    check(file_bytes == expected, "{} has {} bytes more than its shape {} needs; the file is damaged", path,
          file_bytes - expected, shape_words(shape_));
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

NpyReader::~NpyReader() {
  if (fd_ >= 0) ::close(fd_);
}

NpyReader::NpyReader(NpyReader&& other) noexcept
    : path_(std::move(other.path_)),
      shape_(std::move(other.shape_)),
      elements_(other.elements_),
      data_offset_(other.data_offset_),
      item_bytes_(other.item_bytes_),
      fd_(std::exchange(other.fd_, -1)) {}

void NpyReader::read(std::int64_t first, std::int64_t count, void* out) const {
  check(first >= 0 && count >= 0 && first + count <= elements_,
        "{}: elements {} to {} were asked for; there are {}", path_, first, first + count, elements_);
  const auto item = static_cast<std::int64_t>(item_bytes_);
  read_all(fd_, out, static_cast<std::size_t>(count * item), data_offset_ + first * item, path_);
}

std::vector<float> read_npy_f32(const std::string& path) {
  return read_vector<float>(path, DType::kF32);
}

std::vector<std::int64_t> read_npy_i64(const std::string& path) {
  return read_vector<std::int64_t>(path, DType::kI64);
}

void write_npy(const std::string& path, std::span<const float> values, std::vector<std::int64_t> shape) {
  write_array(path, values.data(), values.size(), DType::kF32, shape);
}

void write_npy(const std::string& path, std::span<const std::int64_t> values,
               std::vector<std::int64_t> shape) {
  write_array(path, values.data(), values.size(), DType::kI64, shape);
}

}  // namespace tdds
