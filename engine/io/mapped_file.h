#pragma once
// A read-only memory map of a whole file. Pages are loaded when they are touched.

#include <cstddef>
#include <string>

namespace tdds {

class MappedFile {
 public:
  // Throws Error if `path` is not a readable file. An empty file has data() == nullptr.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

  // Releases the memory pages of a range. They are loaded again when touched.
  void release_pages(std::size_t begin, std::size_t bytes) const;

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace tdds
