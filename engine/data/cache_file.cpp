#include "engine/data/cache_file.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "engine/io/crc32.h"
#include "engine/io/files.h"

namespace tdds {

namespace {

static_assert(sizeof(IndexEntry) == 136, "an index stores the bytes that it has in memory");

std::uint32_t read_sum(const std::uint8_t* at) {
  return at[0] | at[1] << 8 | at[2] << 16 | static_cast<std::uint32_t>(at[3]) << 24;
}

void append_sum(std::string& bytes, std::uint32_t sum) {
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(sum >> (8 * i));
}

// `crc` covers the record's bytes before its last checksum.
std::uint32_t bound_to(std::uint32_t crc, std::uint64_t row, const std::string& file) {
  return crc32(file.data(), file.size(), crc32(&row, sizeof(row), crc));
}

}  // namespace

CacheFile::CacheFile(const std::string& path, std::shared_ptr<const CacheLayout> layout)
    : layout_(std::move(layout)), map_(path) {}

std::size_t CacheFile::records() const {
  if (map_.bytes() > layout_->cache_bytes()) return 0;
  return std::min(layout_->files.size(), map_.bytes() / layout_->record_bytes());
}

bool CacheFile::complete() const {
  return map_.bytes() == layout_->cache_bytes();
}

Sha256 CacheFile::name() const {
  Sha256 name{};
  std::memcpy(name.data(), record(layout_->files.size()), name.size());
  return name;
}

const std::uint8_t* CacheFile::record(std::size_t row) const {
  return reinterpret_cast<const std::uint8_t*>(map_.data()) + row * layout_->record_bytes();
}

bool CacheFile::is_sound(std::size_t row) const {
  const std::size_t before = layout_->record_bytes() - 4;
  const std::uint8_t* at = record(row);
  return at[0] <= kEarlyFile &&
         bound_to(crc32(at, before), row, layout_->files[row]) == read_sum(at + before);
}

bool CacheFile::good(std::size_t row) const {
  return record(row)[0] != kBadFile;
}

const std::uint8_t* CacheFile::pixels(std::size_t row) const {
  return record(row) + 1;
}

IndexEntry CacheFile::entry(std::size_t row) const {
  return entry_of(*layout_, record(row));
}

void CacheFile::release(std::size_t row) const {
  map_.release_pages(row * layout_->record_bytes(), layout_->record_bytes());
}

IndexEntry entry_of(const CacheLayout& layout, const std::uint8_t* record) {
  IndexEntry entry{};
  const std::uint8_t* pixels = record + 1;
  const std::size_t bytes = layout.image_bytes();
  entry.status = record[0];
  entry.checksum = read_sum(pixels + bytes);
  std::memcpy(&entry.stamp, pixels + bytes + 4, sizeof(FileStamp));
  for (std::size_t i = 0; i < bytes; ++i) {
    const std::int64_t value = pixels[i];
    entry.sums.sum[i % 3] += value;
    entry.sums.squares[i % 3] += value * value;
  }
  return entry;
}

std::string record_of(const CacheLayout& layout, std::size_t row, FileStatus status,
                      const std::uint8_t* pixels, const FileStamp& stamp) {
  std::string record(1, static_cast<char>(status));
  record.append(reinterpret_cast<const char*>(pixels), layout.image_bytes());
  append_sum(record, crc32(record.data(), record.size()));
  record.append(reinterpret_cast<const char*>(&stamp), sizeof(stamp));
  append_sum(record, bound_to(crc32(record.data(), record.size()), row, layout.files[row]));
  return record;
}

Sha256 cache_name(const std::vector<IndexEntry>& index) {
  std::string bytes;
  for (const IndexEntry& entry : index) {
    bytes.append(reinterpret_cast<const char*>(entry.stamp.content.data()), entry.stamp.content.size());
    append_sum(bytes, entry.checksum);
  }
  return sha256_of(bytes);
}

std::vector<IndexEntry> read_index(const std::string& path, std::size_t records, const Sha256& name) {
  std::error_code error;
  const std::size_t bytes = records * sizeof(IndexEntry), before = bytes + name.size();
  if (std::filesystem::file_size(path, error) != before + 4 || error) return {};
  const std::string text = read_file(path, before + 4);
  const auto* at = reinterpret_cast<const std::uint8_t*>(text.data());
  if (crc32(at, before) != read_sum(at + before) || std::memcmp(at + bytes, name.data(), name.size()) != 0)
    return {};
  std::vector<IndexEntry> index(records);
  std::memcpy(index.data(), at, bytes);
  return index;
}

void write_index(const std::string& path, const std::vector<IndexEntry>& index, const Sha256& name) {
  std::string bytes(reinterpret_cast<const char*>(index.data()), index.size() * sizeof(IndexEntry));
  bytes.append(reinterpret_cast<const char*>(name.data()), name.size());
  append_sum(bytes, crc32(bytes.data(), bytes.size()));
  write_file_atomically(path, bytes);
}

}  // namespace tdds
