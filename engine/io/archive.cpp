#include "engine/io/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include "kernels/runtime/check.h"

namespace tdds {

namespace {

constexpr int kMaxMembers = 20'000;
constexpr std::size_t kBlock = 1 << 18;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

[[noreturn]] void fail(const std::string& path, archive* reader) {
  const char* reason = archive_error_string(reader);
  throw Error(fmt::format("{} is not a readable archive or is damaged ({}): fetch it again.", path,
                          reason ? reason : "unknown reason"));
}

// The bytes of all parts as one stream. archive_read_open_filenames of libarchive 3.6 crashes on small parts.
class PartStream {
 public:
  explicit PartStream(const std::vector<std::string>& parts) : parts_(parts), block_(kBlock, '\0') {}

  static la_ssize_t read(archive* reader, void* stream, const void** bytes) {
    auto& self = *static_cast<PartStream*>(stream);
    *bytes = self.block_.data();
    for (; self.next_ <= self.parts_.size(); ++self.next_) {
      if (self.next_ > 0) {
        self.file_.read(self.block_.data(), kBlock);
        if (self.file_.gcount() > 0) return self.file_.gcount();
      }
      if (self.next_ == self.parts_.size()) return 0;
      self.file_ = std::ifstream(self.parts_[self.next_], std::ios::binary);
      if (self.file_.good()) continue;
      archive_set_error(reader, errno, "%s cannot be opened", self.parts_[self.next_].c_str());
      return ARCHIVE_FATAL;
    }
    return 0;
  }

 private:
  const std::vector<std::string>& parts_;
  std::string block_;
  std::ifstream file_;    // part next_ - 1
  std::size_t next_ = 0;  // the part to open next
};

// A single file is opened by its name, so that libarchive can seek in a .zip.
Reader open_archive(PartStream& stream, const std::vector<std::string>& parts) {
  const std::string& path = parts.front();
  Reader reader(archive_read_new());
  check(reader != nullptr, "There is no memory left to open {}.", path);
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_zip(reader.get());
  const int status = parts.size() == 1
                         ? archive_read_open_filename(reader.get(), path.c_str(), kBlock)
                         : archive_read_open(reader.get(), &stream, nullptr, PartStream::read, nullptr);
  if (status != ARCHIVE_OK) fail(path, reader.get());
  return reader;
}

// Grows with the data, so that a false size in the header allocates nothing.
std::string read_member(const std::string& path, archive* reader, std::uint64_t max_bytes,
                        const std::string& name) {
  std::string bytes;
  std::string block(kBlock, '\0');
  for (;;) {
    const la_ssize_t count = archive_read_data(reader, block.data(), block.size());
    if (count < 0) fail(path, reader);
    if (count == 0) return bytes;
    bytes.append(block.data(), static_cast<std::size_t>(count));
    check(bytes.size() <= max_bytes,
          "{}: member {} is longer than the {} bytes that are read here: fetch it again.", path, name,
          max_bytes);
  }
}

}  // namespace

std::map<std::string, std::string> read_archive(const std::string& path,
                                                const std::function<bool(const std::string&)>& wants,
                                                std::uint64_t max_member_bytes) {
  return read_archive(std::vector<std::string>{path}, wants, max_member_bytes);
}

std::map<std::string, std::string> read_archive(const std::vector<std::string>& parts,
                                                const std::function<bool(const std::string&)>& wants,
                                                std::uint64_t max_member_bytes) {
  const std::string& path = parts.front();
  PartStream stream(parts);
  const Reader reader = open_archive(stream, parts);
  std::map<std::string, std::string> members;
  for (int seen = 0;; ++seen) {
    check(seen < kMaxMembers, "{} holds more than {} members, more than any data set: fetch it again.", path,
          kMaxMembers);
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) return members;
    if (status < ARCHIVE_WARN) fail(path, reader.get());
    const char* raw_name = archive_entry_pathname(entry);
    std::string name = raw_name ? raw_name : "";
    if (name.starts_with("./")) name.erase(0, 2);
    if (archive_entry_filetype(entry) != AE_IFREG || !wants(name)) continue;
    const la_int64_t announced = archive_entry_size(entry);
    check(announced >= 0 && static_cast<std::uint64_t>(announced) <= max_member_bytes,
          "{}: member {} announces {} bytes, and at most {} are read here: fetch it again.", path, name,
          announced, max_member_bytes);
    std::string bytes = read_member(path, reader.get(), max_member_bytes, name);
    check(members.emplace(name, std::move(bytes)).second,
          "{} holds two members called {}: fetch it or write it again.", path, name);
  }
}

}  // namespace tdds
