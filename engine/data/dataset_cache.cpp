#include "engine/dataset_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "engine/crc32.h"
#include "engine/dataset_image.h"
#include "engine/files.h"
#include "engine/hash.h"
#include "engine/mapped_file.h"
#include "kernels/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesPerBlock = 128;  // decoded, then appended to the cache, at a time
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;

std::size_t image_bytes(const DecodeRequest& request) {
  return std::size_t{3} * static_cast<std::size_t>(request.size) * static_cast<std::size_t>(request.size);
}
std::size_t record_bytes(const DecodeRequest& request) {
  return 1 + image_bytes(request) + 4;
}

std::string path_of(const DecodeRequest& request, std::size_t file) {
  return (fs::path(request.folder) / request.files[file]).string();
}

std::string cache_path(const DecodeRequest& request) {
  Hash hash(HashKind::kSha256);
  for (std::size_t file = 0; file < request.files.size(); ++file) {
    // A file that cannot be looked at is bad; decoding says so.
    std::error_code no_size, no_time;
    const std::string path = path_of(request, file);
    const auto bytes = fs::file_size(path, no_size);
    const auto time = fs::last_write_time(path, no_time).time_since_epoch().count();
    const std::string line =
        fmt::format("{}\n{} {}\n", request.files[file], no_size ? 0 : bytes, no_time ? 0 : time);
    hash.add(line.data(), line.size());
  }
  return (fs::path(request.cache_dir) / fmt::format("images_{}{}_{}.cache", request.size,
                                                    request.exif_rotate ? "_upright" : "",
                                                    hash.hex().substr(0, 32)))
      .string();
}

// Decodes file `file` into its place; an empty answer, or why it cannot be read.
std::string decode_into(const DecodeRequest& request, DecodedImages& images, std::size_t file) {
  try {
    const std::string path = path_of(request, file);
    std::error_code ignored;
    check(fs::is_regular_file(path, ignored), "{} cannot be read: it is a broken link or no file.", path);
    const auto pixels = decode_image(read_file(path, kMaxFileBytes), path, request.size, request.exif_rotate);
    std::copy(pixels.begin(), pixels.end(),
              images.pixels.begin() + static_cast<std::ptrdiff_t>(file * image_bytes(request)));
    images.good[file] = 1;
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::string record_of(const DecodeRequest& request, const DecodedImages& images, std::size_t file) {
  std::string record(1, static_cast<char>(images.good[file]));
  record.append(reinterpret_cast<const char*>(images.pixels.data()) + file * image_bytes(request),
                image_bytes(request));
  const std::uint32_t sum = crc32(record.data(), record.size());
  for (int i = 0; i < 4; ++i) record += static_cast<char>(sum >> (8 * i));
  return record;
}

std::uint32_t stored_sum(const unsigned char* sum) {
  return sum[0] | sum[1] << 8 | sum[2] << 16 | static_cast<std::uint32_t>(sum[3]) << 24;
}

bool is_sound(const DecodeRequest& request, const unsigned char* record) {
  return record[0] <= 1 &&
         crc32(record, 1 + image_bytes(request)) == stored_sum(record + 1 + image_bytes(request));
}

// Takes the cache's leading whole and undamaged records; says how many there were.
std::size_t take_records(const DecodeRequest& request, const std::string& path, DecodedImages& images) {
  const MappedFile file(path);
  const auto* at = reinterpret_cast<const unsigned char*>(file.data());
  const std::size_t count = std::min(request.files.size(), file.bytes() / record_bytes(request));
  for (std::size_t record = 0; record < count; ++record, at += record_bytes(request)) {
    if (!is_sound(request, at)) return record;
    images.good[record] = at[0];
    std::memcpy(images.pixels.data() + record * image_bytes(request), at + 1, image_bytes(request));
    if (at[0] == 1) continue;
    const std::string failure = decode_into(request, images, record);
    if (!failure.empty()) images.bad.push_back(failure);
  }
  return count;
}

std::size_t resume(const DecodeRequest& request, const std::string& path, const std::string& partial,
                   DecodedImages& images) {
  make_folder(request.cache_dir);
  std::error_code error;
  if (fs::exists(path, error)) {
    // Other programs may be reading it: it is moved only where it is damaged.
    if (take_records(request, path, images) == request.files.size()) return request.files.size();
    images.bad.clear();
    fs::rename(path, partial);
  }
  if (!fs::exists(partial, error)) return 0;
  const std::size_t taken = take_records(request, partial, images);
  fs::resize_file(partial, taken * record_bytes(request));
  return taken;
}

// Says what is to be done, and refuses where the disk is too small for it.
void announce(const DecodeRequest& request, const std::string& path, std::size_t done) {
  const std::size_t left = request.files.size() - done;
  if (left == 0) return;
  const double mb = static_cast<double>(request.files.size() * record_bytes(request)) / 1e6;
  if (!path.empty()) {
    std::error_code error;
    const fs::space_info space = fs::space(request.cache_dir, error);
    check(
        error || space.available >= left * record_bytes(request),
        "{} has {:.1f} MB free, and the cache of {} images needs {:.1f} MB: choose another --cache_dir or a "
        "smaller --image_size.",
        request.cache_dir, static_cast<double>(space.available) / 1e6, request.files.size(), mb);
  }
  if (!request.announce) return;
  const std::string continued = done > 0 ? fmt::format(" ({} are done)", done) : "";
  request.announce(fmt::format("decoding {} images of {} to {} x {} pixels{}: {:.1f} MB in {}",
                               request.files.size(), request.folder, request.size, request.size, continued,
                               mb, path.empty() ? "memory (--cache_dir keeps them)" : path));
}

std::string note_of(const DecodeRequest& request, const std::string& path, std::size_t taken,
                    double seconds) {
  const std::size_t decoded = request.files.size() - taken;
  if (decoded == 0) return fmt::format("{} images of {} were taken from {}", taken, request.folder, path);
  return fmt::format("{} images of {} were decoded in {:.1f} s, {:.0f} images/s{}", decoded, request.folder,
                     seconds, static_cast<double>(decoded) / std::max(seconds, 1e-9),
                     taken > 0 ? fmt::format("; {} were taken from the cache", taken) : "");
}

void check_bad(const DecodeRequest& request, const DecodedImages& images) {
  check(request.skip_bad || images.bad.empty(), "{} (--skip_bad leaves such files out)",
        images.bad.empty() ? "" : images.bad.front());
}

// What is known of a record without reading it.
struct IndexEntry {
  ImageSource::Sums sums;
  std::uint32_t checksum, good;
};

std::string index_bytes(const std::vector<IndexEntry>& index) {
  std::string bytes(reinterpret_cast<const char*>(index.data()), index.size() * sizeof(IndexEntry));
  const std::uint32_t sum = crc32(bytes.data(), bytes.size());
  return bytes.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
}

// Empty where there is none, or one that is damaged or of another length.
std::vector<IndexEntry> read_index(const std::string& path, std::size_t records) {
  std::error_code error;
  const std::size_t bytes = records * sizeof(IndexEntry);
  if (fs::file_size(path, error) != bytes + 4 || error) return {};
  const std::string text = read_file(path, bytes + 4);
  std::uint32_t sum = 0;
  std::memcpy(&sum, text.data() + bytes, sizeof(sum));
  if (crc32(text.data(), bytes) != sum) return {};
  std::vector<IndexEntry> index(records);
  std::memcpy(index.data(), text.data(), bytes);
  return index;
}

IndexEntry entry_of(const DecodeRequest& request, const unsigned char* record) {
  IndexEntry entry{};
  entry.good = record[0];
  entry.checksum = stored_sum(record + 1 + image_bytes(request));
  for (std::size_t i = 0; i < image_bytes(request); ++i) {
    const std::int64_t value = record[1 + i];
    entry.sums.sum[i % 3] += value;
    entry.sums.squares[i % 3] += value * value;
  }
  return entry;
}

// The leading whole and undamaged records of a file.
std::size_t sound_records(const DecodeRequest& request, const std::string& path) {
  const MappedFile file(path);
  const auto* at = reinterpret_cast<const unsigned char*>(file.data());
  const std::size_t count = std::min(request.files.size(), file.bytes() / record_bytes(request));
  for (std::size_t record = 0; record < count; ++record, at += record_bytes(request)) {
    if (!is_sound(request, at)) return record;
    file.release_pages(record * record_bytes(request), record_bytes(request));
  }
  return count;
}

class CachedImages : public ImageSource {
 public:
  // Throws Error where the file is damaged: removed, it is made anew.
  CachedImages(const DecodeRequest& request, const std::string& path)
      : request_(request),
        path_(path),
        map_(path),
        index_(read_index(path + ".index", request.files.size())) {
    check(map_.bytes() == request.files.size() * record_bytes(request),
          "{} has not the length that it should have: remove it, and it is made anew.", path);
    if (!index_.empty()) return;
    index_.resize(request.files.size());
    bool sound = true;
#pragma omp parallel for schedule(static) reduction(&& : sound)
    for (std::size_t i = 0; i < index_.size(); ++i) {
      sound = sound && is_sound(request_, record(i));
      index_[i] = entry_of(request_, record(i));
    }
    check(sound, "{} is damaged: remove it, and it is made anew.", path);
    write_file_atomically(path + ".index", index_bytes(index_));
  }

  void read(std::int64_t row, std::uint8_t* out) const override {
    const auto at = static_cast<std::size_t>(row);
    check(is_sound(request_, record(at)), "{} is damaged where {} lies: remove it, and it is made anew.",
          path_, request_.files[at]);
    std::memcpy(out, record(at) + 1, image_bytes(request_));
  }
  std::uint32_t checksum(std::int64_t row) const override {
    return index_[static_cast<std::size_t>(row)].checksum;
  }
  Sums sums(std::int64_t row) const override {
    return index_[static_cast<std::size_t>(row)].sums;
  }
  bool good(std::size_t row) const {
    return index_[row].good == 1;
  }

 private:
  const unsigned char* record(std::size_t row) const {
    return reinterpret_cast<const unsigned char*>(map_.data()) + row * record_bytes(request_);
  }

  DecodeRequest request_;
  std::string path_;
  MappedFile map_;
  std::vector<IndexEntry> index_;
};

// Files begin .. end - 1, decoded without a cache.
DecodedImages decode_block(const DecodeRequest& request, std::size_t begin, std::size_t end) {
  DecodeRequest block = request;
  block.files.assign(request.files.begin() + static_cast<std::ptrdiff_t>(begin),
                     request.files.begin() + static_cast<std::ptrdiff_t>(end));
  block.cache_dir.clear();
  block.progress = nullptr;
  block.announce = nullptr;
  return decode_files(block);
}

// Makes what is missing of the cache; says how many records were there.
std::size_t complete_cache(const DecodeRequest& request, const std::string& path) {
  const std::string partial = path + ".partial";
  const std::size_t count = request.files.size();
  std::error_code error;
  make_folder(request.cache_dir);
  if (fs::exists(path, error)) return count;
  const std::size_t taken = fs::exists(partial, error) ? sound_records(request, partial) : 0;
  if (fs::exists(partial, error)) fs::resize_file(partial, taken * record_bytes(request));
  announce(request, path, taken);
  for (std::size_t done = taken; done < count;) {
    const std::size_t end = std::min(count, done + kFilesPerBlock);
    const DecodedImages block = decode_block(request, done, end);
    std::string records;
    for (std::size_t file = 0; file < end - done; ++file) records += record_of(request, block, file);
    append_to_file(partial, records);
    done = end;
    if (request.progress) request.progress(static_cast<std::int64_t>(done), static_cast<std::int64_t>(count));
  }
  if (!request.manifest.empty()) write_file_atomically(path + ".manifest.tsv", request.manifest);
  fs::rename(partial, path);
  return taken;
}

}  // namespace

DecodedImages decode_files(const DecodeRequest& request) {
  const std::size_t count = request.files.size();
  DecodedImages images;
  images.pixels.resize(count * image_bytes(request));
  images.good.resize(count);
  const bool cached = !request.cache_dir.empty();
  const std::string path = cached ? cache_path(request) : "", partial = path + ".partial";
  const std::size_t taken = cached ? resume(request, path, partial, images) : 0;
  std::size_t done = taken;
  check_bad(request, images);
  announce(request, path, done);
  const auto start = std::chrono::steady_clock::now();
  while (done < count) {
    const std::size_t end = std::min(count, done + kFilesPerBlock);
    std::vector<std::string> failures(end - done);
#pragma omp parallel for schedule(dynamic)
    for (std::size_t file = done; file < end; ++file)
      failures[file - done] = decode_into(request, images, file);
    for (std::string& failure : failures)
      if (!failure.empty()) images.bad.push_back(std::move(failure));
    check_bad(request, images);
    std::string records;
    for (std::size_t file = done; cached && file < end; ++file) records += record_of(request, images, file);
    if (cached) append_to_file(partial, records);
    done = end;
    if (request.progress) request.progress(static_cast<std::int64_t>(done), static_cast<std::int64_t>(count));
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  images.note = note_of(request, path, taken, seconds.count());
  std::error_code ignored;
  if (!cached || !fs::exists(partial, ignored)) return images;
  if (!request.manifest.empty()) write_file_atomically(path + ".manifest.tsv", request.manifest);
  fs::rename(partial, path);
  return images;
}

std::int64_t decoded_bytes(const DecodeRequest& request) {
  return static_cast<std::int64_t>(request.files.size() * image_bytes(request));
}

StoredImages store_files(const DecodeRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const std::string path = cache_path(request);
  const std::size_t taken = complete_cache(request, path);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const auto images = std::make_shared<CachedImages>(request, path);
  StoredImages stored;
  stored.note = note_of(request, path, taken, seconds.count()) + "; they stay on the disk";
  for (std::size_t file = 0; file < request.files.size(); ++file) {
    stored.good.push_back(images->good(file) ? 1 : 0);
    if (images->good(file)) continue;
    DecodedImages nowhere;
    nowhere.pixels.resize(image_bytes(request));
    nowhere.good.resize(1);
    DecodeRequest alone = request;
    alone.files = {request.files[file]};
    const std::string failure = decode_into(alone, nowhere, 0);
    stored.bad.push_back(
        failure.empty() ? fmt::format("{} could not be read when {} was made.", path_of(request, file), path)
                        : failure);
    check(request.skip_bad, "{} (--skip_bad leaves such files out)", stored.bad.back());
  }
  stored.source = images;
  return stored;
}

}  // namespace tdds
