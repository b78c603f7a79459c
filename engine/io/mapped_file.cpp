#include "engine/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "engine/io/system_reason.h"
#include "kernels/runtime/check.h"

namespace tdds {

MappedFile::MappedFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  check(fd >= 0, "{} cannot be read: {}", path, system_reason(errno));
  struct stat status {};
  const bool is_file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  bytes_ = is_file ? static_cast<std::size_t>(status.st_size) : 0;
  void* map = bytes_ > 0 ? ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd, 0) : nullptr;
  const int error = errno;
  ::close(fd);
  check(is_file, "{} is not a file", path);
  check(map != MAP_FAILED, "{} cannot be mapped: {}", path, system_reason(error));
  data_ = static_cast<std::byte*>(map);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(data_, bytes_);
}

void MappedFile::release_pages(std::size_t begin, std::size_t bytes) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t first = begin / page * page;
  ::madvise(data_ + first, begin + bytes - first, MADV_DONTNEED);
}

}  // namespace tdds
