#include "engine/dataset_cache.h"

#include <algorithm>
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

constexpr std::size_t kFilesPerBlock = 512;  // decoded, then appended to the cache, at a time
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
    std::error_code error;
    const std::string path = path_of(request, file);
    const auto bytes = fs::file_size(path, error);
    const auto time = fs::last_write_time(path, error).time_since_epoch().count();
    check(!error, "{} cannot be read ({}): restore or remove it.", path, error.message());
    const std::string line = fmt::format("{}\n{} {}\n", request.files[file], bytes, time);
    hash.add(line.data(), line.size());
  }
  return (fs::path(request.cache_dir) /
          fmt::format("images_{}_{}.cache", request.size, hash.hex().substr(0, 32)))
      .string();
}

// Decodes file `file` into its place; an empty answer, or why it cannot be read.
std::string decode_into(const DecodeRequest& request, DecodedImages& images, std::size_t file) {
  try {
    const std::string path = path_of(request, file);
    const auto pixels = decode_image(read_file(path, kMaxFileBytes), path, request.size);
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

// Takes the cache's leading whole and undamaged records; says how many there were.
std::size_t take_records(const DecodeRequest& request, const std::string& path, DecodedImages& images) {
  const MappedFile file(path);
  const auto* at = reinterpret_cast<const unsigned char*>(file.data());
  const std::size_t count = std::min(request.files.size(), file.bytes() / record_bytes(request));
  for (std::size_t record = 0; record < count; ++record, at += record_bytes(request)) {
    const unsigned char* sum = at + 1 + image_bytes(request);
    const std::uint32_t stored =
        sum[0] | sum[1] << 8 | sum[2] << 16 | static_cast<std::uint32_t>(sum[3]) << 24;
    if (crc32(at, 1 + image_bytes(request)) != stored || at[0] > 1) return record;
    images.good[record] = at[0];
    std::memcpy(images.pixels.data() + record * image_bytes(request), at + 1, image_bytes(request));
    if (at[0] == 0) images.bad.push_back(decode_into(request, images, record));
  }
  return count;
}

std::size_t resume(const DecodeRequest& request, const std::string& path, const std::string& partial,
                   DecodedImages& images) {
  make_folder(request.cache_dir);
  std::error_code error;
  if (fs::exists(path, error)) fs::rename(path, partial);
  if (!fs::exists(partial, error)) return 0;
  const std::size_t taken = take_records(request, partial, images);
  fs::resize_file(partial, taken * record_bytes(request));
  return taken;
}

void check_bad(const DecodeRequest& request, const DecodedImages& images) {
  check(request.skip_bad || images.bad.empty(), "{} (--skip_bad leaves such files out)",
        images.bad.empty() ? "" : images.bad.front());
}

}  // namespace

DecodedImages decode_files(const DecodeRequest& request) {
  const std::size_t count = request.files.size();
  DecodedImages images;
  images.pixels.resize(count * image_bytes(request));
  images.good.resize(count);
  const bool cached = !request.cache_dir.empty();
  const std::string path = cached ? cache_path(request) : "", partial = path + ".partial";
  std::size_t done = cached ? resume(request, path, partial, images) : 0;
  check_bad(request, images);
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
  if (cached) fs::rename(partial, path);
  return images;
}

}  // namespace tdds
