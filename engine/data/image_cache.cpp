#include "engine/data/image_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

#include "engine/data/manifest.h"
#include "engine/data/parallel_files.h"
#include "engine/image/dataset_image.h"
#include "engine/io/file_lock.h"
#include "engine/io/files.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesPerBlock = 128;  // decoded, then appended to the cache, at a time
constexpr auto kLockPause = std::chrono::milliseconds(50);

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// A file of records after the comparison with the image files.
struct Compared {
  std::shared_ptr<const CacheFile> file;
  std::vector<IndexEntry> index = {};    // [files], valid for those that are taken
  std::vector<std::uint8_t> taken = {};  // [files]
  std::map<std::size_t, std::string> bad = {};
  bool indexed = false;  // the index beside the cache is up to date

  std::size_t count() const { return std::count(taken.begin(), taken.end(), 1); }
  std::size_t leading() const { return std::find(taken.begin(), taken.end(), 0) - taken.begin(); }
};

class ImageCache {
 public:
  ImageCache(const DecodeRequest& request, std::uint8_t* pixels)
      : request_(request),
        layout_(std::make_shared<CacheLayout>(CacheLayout{request.size, request.files})),
        pixels_(pixels) {}

  ReadyImages make_ready() {
    look_at_files();
    if (request_.cache_dir.empty()) {
      decode_rest(0);
      return result(nullptr);
    }
    path_ = cache_path();
    if (take_complete()) {
      if (!complete_.indexed) remember();
      return result(complete_.file);
    }
    make_folder(request_.cache_dir);
    FileLock lock(path_ + ".lock");
    if (wait_for(lock)) look_at_files();
    // Another process may have completed it before the lock was taken.
    if (!take_complete()) return result(complete_cache());
    if (!complete_.indexed) write_notes(*complete_.file);
    return result(complete_.file);
  }

 private:
  std::size_t count() const { return layout_->files.size(); }
  std::string path_of(std::size_t row) const {
    return (fs::path(request_.folder) / layout_->files[row]).string();
  }

  // The callback of for_each_file between files. With a total, it also reports progress.
  auto between(std::size_t before = 0, std::size_t total = 0) const {
    return [this, before, total](std::size_t done) {
      if (request_.poll) request_.poll();
      if (total > 0) tell_progress(before + done, total);
    };
  }
  void tell_progress(std::size_t done, std::size_t total) const {
    if (request_.progress)
      request_.progress(static_cast<std::int64_t>(done), static_cast<std::int64_t>(total));
  }

  void look_at_files() {
    identities_.assign(count(), {});
    contents_.clear();
    for_each_file(count(), between(), [&](std::size_t row) { identities_[row] = identity_of(path_of(row)); });
  }

  std::string cache_path() const {
    const std::string split = fs::path(request_.folder).lexically_normal().filename().string();
    const std::string form = fmt::format("{}{}", request_.size, request_.exif_rotate ? "_upright" : "");
    std::string text = fmt::format("{}\n{}\ndecoder {}\n", split, form, kDecoderVersion);
    for (std::size_t row = 0; row < count(); ++row)
      text += fmt::format("{}\n{}\n", layout_->files[row], identities_[row].bytes);
    std::string plain;
    for (const char c : split)
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) plain += c;
    const std::string hash = hex_of(sha256_of(text)).substr(0, 32);
    return (fs::path(request_.cache_dir) / fmt::format("pixels_{}_{}_{}.cache", plain, form, hash)).string();
  }

  // Waits for the lock and announces its holder. Returns whether it had to wait.
  bool wait_for(FileLock& lock) const {
    std::string told;
    while (!lock.held()) {
      if (lock.holder() != told && request_.announce)
        request_.announce(fmt::format("waiting for {}, which is making {}", lock.holder(), path_));
      told = lock.holder();
      if (request_.poll) request_.poll();
      std::this_thread::sleep_for(kLockPause);
      lock.try_again();
    }
    if (!lock.warning().empty() && request_.announce) request_.announce("warning: " + lock.warning());
    return !told.empty();
  }

  // Compares the cache with the files. Returns whether every record is taken.
  bool take_complete() {
    complete_ = {};
    if (!exists(path_)) return false;
    complete_ = compare(path_, true);
    if (complete_.count() < count()) return false;
    index_ = complete_.index;
    bad_ = complete_.bad;
    check_bad();
    return true;
  }

  Compared compare(const std::string& path, bool complete) {
    Compared c{.file = std::make_shared<CacheFile>(path, layout_)};
    const std::size_t records = complete && !c.file->complete() ? 0 : c.file->records();
    if (complete && records > 0) c.index = read_index(path + ".index", count(), c.file->name());
    c.indexed = !c.index.empty();
    c.index.resize(count());
    c.taken.resize(count());
    std::vector<std::uint8_t> doubtful(count());
    for_each_file(records, between(), [&](std::size_t row) {
      IndexEntry& entry = c.index[row];
      if ((!c.indexed || pixels_) && !c.file->is_sound(row)) return;
      if (!c.indexed) entry = c.file->entry(row);
      if (entry.status == kBadFile) {
        c.taken[row] = is_still_bad(row, entry, c.bad) ? 1 : 0;
        return;
      }
      if (pixels_)
        std::memcpy(pixels_ + row * layout_->image_bytes(), c.file->pixels(row), layout_->image_bytes());
      if (!pixels_ && !c.indexed) c.file->release(row);
      c.taken[row] = identities_[row].known() && entry.stamp.identity == identities_[row] ? 1 : 0;
      doubtful[row] = 1 - c.taken[row];
    });
    take_equal_contents(c, doubtful, path);
    return c;
  }

  // Decodes the file again, since it may have been repaired.
  bool is_still_bad(std::size_t row, IndexEntry& entry, std::map<std::size_t, std::string>& bad) {
    const DecodedFile decoded = decode_file(path_of(row), request_.size, request_.exif_rotate);
    if (decoded.failure.empty()) return false;
    entry.stamp = decoded.stamp;
    const std::scoped_lock lock(mutex_);
    bad[row] = decoded.failure;
    return true;
  }

  // Takes the doubtful records whose files have the content that was decoded.
  void take_equal_contents(Compared& c, const std::vector<std::uint8_t>& doubtful, const std::string& path) {
    std::vector<std::size_t> rows, unread;
    contents_.resize(count());
    for (std::size_t row = 0; row < count(); ++row) {
      if (doubtful[row] == 0) continue;
      rows.push_back(row);
      if (contents_[row] == Sha256{}) unread.push_back(row);
    }
    if (rows.empty()) return;
    c.indexed = false;
    if (!unread.empty()) {
      if (request_.announce)
        request_.announce(
            fmt::format("hashing {} of {} images of {}: they were moved or touched since {} was made",
                        unread.size(), count(), request_.folder, path));
      for_each_file(unread.size(), between(0, unread.size()),
                    [&](std::size_t i) { hash_content(unread[i]); });
      tell_progress(unread.size(), unread.size());
      hashed_ += unread.size();
    }
    for (const std::size_t row : rows) {
      if (c.index[row].stamp.content != contents_[row]) continue;
      c.index[row].stamp.identity = identities_[row];
      c.taken[row] = 1;
    }
  }

  // The hash is zero if the file cannot be read: decoding it will report the reason.
  void hash_content(std::size_t row) {
    try {
      contents_[row] = sha256_of(read_image_file(path_of(row)));
    } catch (const Error&) {
      contents_[row] = {};
    }
  }

  // Called with the lock. Returns the completed cache.
  std::shared_ptr<const CacheFile> complete_cache() {
    const std::string partial = path_ + ".partial";
    std::size_t begun = 0;
    if (exists(partial)) {
      const Compared before = compare(partial, false);
      begun = before.leading();
      index_ = before.index;
      bad_ = {before.bad.begin(), before.bad.lower_bound(begun)};
      check_bad();
      fs::resize_file(partial, begun * layout_->record_bytes());
    }
    decode_rest(begun);
    const Sha256 name = cache_name(index_);
    append_to_file(partial, {reinterpret_cast<const char*>(name.data()), name.size()});
    const auto file = std::make_shared<CacheFile>(partial, layout_);
    // This can happen only on a file system without locks.
    check(file->complete(), "{} was also written by another program: start again when that has ended",
          partial);
    fs::rename(partial, path_);
    write_notes(*file);
    return file;
  }

  // Decodes the files from row `begun` on, except those that the complete cache has.
  void decode_rest(std::size_t begun) {
    index_.resize(count());
    announce_decoding(begun);
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t done = begun; done < count();) {
      const std::size_t end = std::min(count(), done + kFilesPerBlock);
      add_block(done, end);
      done = end;
    }
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    tell_progress(count(), count());
  }

  // If the block cannot be completed, its finished records are kept.
  void add_block(std::size_t begin, std::size_t end) {
    std::vector<std::string> records(end - begin);
    try {
      for_each_file(end - begin, between(begin, count()),
                    [&](std::size_t i) { records[i] = make_record(begin + i); });
      check_bad();
    } catch (...) {
      const std::size_t first_bad = bad_.empty() || request_.skip_bad ? end : bad_.begin()->first;
      const auto stop = std::find(records.begin(), records.end(), "");
      records.resize(std::min(first_bad - begin, static_cast<std::size_t>(stop - records.begin())));
      append(records);
      throw;
    }
    append(records);
  }

  void append(const std::vector<std::string>& records) const {
    if (request_.cache_dir.empty()) return;
    std::string bytes;
    for (const std::string& record : records) bytes += record;
    append_to_file(path_ + ".partial", bytes);
  }

  std::string make_record(std::size_t row) {
    if (complete_.file && complete_.taken[row] == 1 && complete_.index[row].status != kBadFile &&
        complete_.file->is_sound(row)) {
      index_[row] = complete_.index[row];
      return record_of(*layout_, row, static_cast<FileStatus>(index_[row].status),
                       complete_.file->pixels(row), index_[row].stamp);
    }
    const DecodedFile decoded = decode_file(path_of(row), request_.size, request_.exif_rotate);
    if (pixels_)
      std::copy(decoded.pixels.begin(), decoded.pixels.end(), pixels_ + row * layout_->image_bytes());
    {
      const std::scoped_lock lock(mutex_);
      ++decoded_;
      if (decoded.status == kBadFile) bad_[row] = decoded.failure;
    }
    if (request_.cache_dir.empty()) {
      index_[row].stamp = decoded.stamp;
      index_[row].status = decoded.status;
      return {};
    }
    std::string record = record_of(*layout_, row, decoded.status, decoded.pixels.data(), decoded.stamp);
    index_[row] = entry_of(*layout_, reinterpret_cast<const std::uint8_t*>(record.data()));
    return record;
  }

  // Announces the work. Throws Error if the disk is too small for it.
  void announce_decoding(std::size_t begun) const {
    const bool keeps = !request_.cache_dir.empty();
    const std::size_t from_cache =
        complete_.file ? std::count(complete_.taken.begin() + static_cast<std::ptrdiff_t>(begun),
                                    complete_.taken.end(), 1)
                       : 0;
    const std::size_t done = begun + from_cache;
    const double mb = static_cast<double>(layout_->cache_bytes()) / 1e6;
    if (keeps) {
      std::error_code error;
      const fs::space_info space = fs::space(request_.cache_dir, error);
      check(error || space.available >= (count() - begun) * layout_->record_bytes(),
            "{} has {:.1f} MB free, but the cache of {} images needs {:.1f} MB: choose another `cache_dir` "
            "or a smaller `image_size`.",
            request_.cache_dir, static_cast<double>(space.available) / 1e6, count(), mb);
    }
    if (!request_.announce || done == count()) return;
    const std::string continued = done > 0 ? fmt::format(" ({} are done)", done) : "";
    request_.announce(fmt::format("decoding {} images of {} to {} x {} pixels{}: {:.1f} MB in {}", count(),
                                  request_.folder, request_.size, request_.size, continued, mb,
                                  keeps ? path_ : "memory (`cache_dir` keeps them)"));
  }

  void check_bad() const {
    check(request_.skip_bad || bad_.empty(), "{} (`skip_bad` leaves such files out)",
          bad_.empty() ? "" : bad_.begin()->second);
  }

  // Called with the lock.
  void write_notes(const CacheFile& cache) const {
    write_index(path_ + ".index", index_, cache.name());
    if (request_.labels.empty()) return;
    Manifest manifest{request_.folder, "", layout_->files, {}, request_.labels};
    for (const IndexEntry& entry : index_) {
      manifest.bytes.push_back(entry.stamp.identity.bytes);
      manifest.contents.push_back(entry.stamp.content);
    }
    write_file_atomically(path_ + ".manifest.tsv", manifest.text());
  }

  // A failure does no harm: the next run hashes the files again.
  void remember() const {
    try {
      const FileLock lock(path_ + ".lock");
      if (lock.held()) write_notes(*complete_.file);
    } catch (const Error&) {
      return;
    }
  }

  ReadyImages result(std::shared_ptr<const CacheFile> cache) {
    return {path_,           layout_, std::move(cache), std::move(index_),
            std::move(bad_), hashed_, decoded_,         seconds_};
  }

  const DecodeRequest& request_;
  std::shared_ptr<const CacheLayout> layout_;
  std::uint8_t* pixels_;
  std::string path_;
  std::vector<FileIdentity> identities_;
  std::vector<Sha256> contents_;  // of the files that were hashed, else zero
  Compared complete_;             // the cache found at the start
  std::vector<IndexEntry> index_;
  std::map<std::size_t, std::string> bad_;
  std::mutex mutex_;  // for bad_, decoded_
  std::size_t hashed_ = 0, decoded_ = 0;
  double seconds_ = 0;
};

}  // namespace

ReadyImages ready_images(const DecodeRequest& request, std::uint8_t* pixels) {
  return ImageCache(request, pixels).make_ready();
}

}  // namespace tdds
