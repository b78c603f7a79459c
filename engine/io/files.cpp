#include "engine/io/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/io/system_reason.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

// A descriptor that is closed at the end of its scope.
struct Descriptor {
  int number;
  explicit Descriptor(int opened) : number(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

void write_file_atomically(const std::filesystem::path& path, const std::function<void(AtomicFile&)>& fill) {
  AtomicFile file(path.string());
  fill(file);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  write_file_atomically(path, [&](AtomicFile& file) { file.write(bytes); });
}

void append_to_file(const std::filesystem::path& path, std::string_view bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  check(file.number >= 0, "{} cannot be written: {}", path.string(),
        system_reason(errno, "choose a folder that you may write to"));
  struct stat status {};
  const bool regular = ::fstat(file.number, &status) == 0 && S_ISREG(status.st_mode);
  try {
    write_all(file.number, bytes.data(), bytes.size(), path.string());
  } catch (const Error&) {
    if (regular && ::ftruncate(file.number, status.st_size) != 0)
      throw Error(path.string() + " cannot be written, and now ends in an incomplete line; remove that line");
    throw;
  }
}

void make_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  check(!error, "the folder {} cannot be made: {}", path.string(),
        system_reason(error.value(), "choose another place for it"));
  check(std::filesystem::is_directory(path, error), "{} is not a folder; choose another place",
        path.string());
  check(::access(path.c_str(), W_OK | X_OK) == 0, "the folder {} cannot be written: {}", path.string(),
        system_reason(errno, "choose another"));
}

InputFile::InputFile(std::filesystem::path path)
    : path_(std::move(path)), number_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  check(number_ >= 0, "{} cannot be read: {}", path_.string(), system_reason(errno));
  struct stat status {};
  const bool is_file = ::fstat(number_, &status) == 0 && S_ISREG(status.st_mode);
  if (!is_file) ::close(number_);
  check(is_file, "{} is not a file", path_.string());
  bytes_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  if (number_ >= 0) ::close(number_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), number_(std::exchange(other.number_, -1)), bytes_(other.bytes_) {}

void InputFile::read(std::uint64_t offset, void* to, std::uint64_t bytes) const {
  for (std::uint64_t done = 0; done < bytes;) {
    const ssize_t got =
        ::pread(number_, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    check(got >= 0, "{} cannot be read: {}", path_.string(), system_reason(errno));
    check(got > 0, "{} became shorter while it was read; read it again when it is complete", path_.string());
    done += static_cast<std::uint64_t>(got);
  }
}

std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  check(file.number >= 0, "{} cannot be read: {}", path.string(), system_reason(errno));
  struct stat status {};
  check(::fstat(file.number, &status) == 0, "{} cannot be read: {}", path.string(), system_reason(errno));
  check(!S_ISDIR(status.st_mode), "{} is a folder, not a file", path.string());

  // The size from stat is only a hint: a pipe has none, and a file may grow.
  std::string bytes;
  std::size_t filled = 0;
  bytes.resize(std::min<std::uint64_t>(static_cast<std::uint64_t>(status.st_size), max_bytes) + 1);
  while (true) {
    const ssize_t got = ::read(file.number, bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    check(got >= 0, "{} cannot be read: {}", path.string(), system_reason(errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    check(filled <= max_bytes,
          "{} is longer than the {} bytes that such a file can have; choose another file", path.string(),
          max_bytes);
    if (filled == bytes.size()) bytes.resize(std::min<std::uint64_t>(2 * bytes.size(), max_bytes + 1));
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace tdds
