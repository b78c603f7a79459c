#include "engine/data/dataset_cache.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "engine/data/image_cache.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

class CachedImages : public ImageSource {
 public:
  explicit CachedImages(const ReadyImages& ready)
      : path_(ready.path), layout_(ready.layout), cache_(ready.cache), index_(ready.index) {}

  void read(std::int64_t row, std::uint8_t* out) const override {
    const auto at = static_cast<std::size_t>(row);
    check(cache_->is_sound(at), "{} is damaged at the image {}: remove it, and it is made again.", path_,
          layout_->files[at]);
    std::memcpy(out, cache_->pixels(at), layout_->image_bytes());
  }
  std::uint32_t checksum(std::int64_t row) const override {
    return index_[static_cast<std::size_t>(row)].checksum;
  }
  Sums sums(std::int64_t row) const override { return index_[static_cast<std::size_t>(row)].sums; }

 private:
  std::string path_;
  std::shared_ptr<const CacheLayout> layout_;
  std::shared_ptr<const CacheFile> cache_;
  std::vector<IndexEntry> index_;
};

std::string note_of(const DecodeRequest& request, const ReadyImages& ready) {
  const std::size_t taken = request.files.size() - ready.decoded;
  const std::string hashed = fmt::format("{} files were hashed", ready.hashed);
  if (ready.decoded == 0)
    return fmt::format("{} images of {} were taken from {}; {} and none decoded", taken, request.folder,
                       ready.path, hashed);
  return fmt::format(
      "{} images of {} were decoded in {:.1f} s, {:.0f} images/s{}", ready.decoded, request.folder,
      ready.seconds, static_cast<double>(ready.decoded) / std::max(ready.seconds, 1e-9),
      request.cache_dir.empty() ? "" : fmt::format("; {} were taken from the cache and {}", taken, hashed));
}

// Fills the fields that both results have.
template <class Images>
void describe(const DecodeRequest& request, const ReadyImages& ready, Images& images) {
  images.note = note_of(request, ready);
  for (const auto& [row, sentence] : ready.bad) images.bad.push_back(sentence);
  const auto early = std::count_if(ready.index.begin(), ready.index.end(),
                                   [](const IndexEntry& entry) { return entry.status == kEarlyFile; });
  if (early > 0)
    images.note += fmt::format("; {} of {} are JPEGs that end early, whose missing pixels were filled", early,
                               request.files.size());
  for (const IndexEntry& entry : ready.index) {
    images.good.push_back(entry.status != kBadFile ? 1 : 0);
    images.stamps.push_back(entry.stamp);
  }
}

// images_<size>[_upright]_<32 hex digits>.cache, and the files beside it.
bool is_old_cache(const std::string& name) {
  constexpr std::string_view kBegin = "images_", kDigits = "0123456789abcdef";
  const std::size_t end = name.find(".cache");
  if (!name.starts_with(kBegin) || end == std::string::npos || end < kBegin.size() + 33) return false;
  return name[end - 33] == '_' && name.substr(end - 32, 32).find_first_not_of(kDigits) == std::string::npos;
}

}  // namespace

DecodedImages decode_files(const DecodeRequest& request) {
  DecodedImages images;
  images.pixels.resize(static_cast<std::size_t>(decoded_bytes(request)));
  describe(request, ready_images(request, images.pixels.data()), images);
  return images;
}

std::int64_t decoded_bytes(const DecodeRequest& request) {
  return static_cast<std::int64_t>(request.files.size() * CacheLayout{request.size, {}}.image_bytes());
}

StoredImages store_files(const DecodeRequest& request) {
  const ReadyImages ready = ready_images(request, nullptr);
  StoredImages stored;
  describe(request, ready, stored);
  stored.note += "; they stay on the disk";
  stored.source = std::make_shared<CachedImages>(ready);
  return stored;
}

std::string note_on_old_caches(const std::string& cache_dir) {
  std::uint64_t bytes = 0;
  std::size_t caches = 0;
  std::error_code error;
  for (fs::directory_iterator it(cache_dir, error), end; !error && it != end; it.increment(error)) {
    if (!is_old_cache(it->path().filename().string())) continue;
    std::error_code no_size;
    const auto size = fs::file_size(it->path(), no_size);
    if (!no_size) bytes += size;
    ++caches;
  }
  if (caches == 0) return {};
  return fmt::format(
      "{} holds image caches of an earlier format ({} files, {:.1f} MB), which are not read: the images are "
      "decoded again, and {} can be removed",
      cache_dir, caches, static_cast<double>(bytes) / 1e6,
      (fs::path(cache_dir) / "images_*.cache*").string());
}

}  // namespace tdds
