#include "apps/sweep/sweep_book.h"

#include <utility>

#include "apps/score/image_order.h"
#include "apps/train/run_folder.h"

namespace tdds {

std::filesystem::path SweepBook::path() const {
  return shard_ ? shard_file(folder_.path(), shard_->index) : folder_ / kSweepFile;
}

// The records are read and written as a whole. Making the lock's file also makes a network file system look
// at the folder again.
void SweepBook::lock() {
  if (shard_ && !lock_)
    lock_ = wait_for_lock(folder_ / ".records.lock", "reads or writes the records of the shards");
}

void SweepBook::join() {
  std::vector<SweepRecord> parts{own_};
  parts.insert(parts.end(), others_.begin(), others_.end());
  joined_ = joined(parts);
}

std::vector<std::string> SweepBook::start(SweepRecord now, const SweepDefaults& defaults, bool overwrite) {
  lock();
  own_ = std::move(now);
  std::vector<std::string> notes;
  if (overwrite) folder_.remove_sweep();
  for (const std::filesystem::path& file : record_files(folder_.path())) {
    if (overwrite) break;
    SweepRecord before = read_sweep(file);
    for (const ScoringRecord& run : before.scoring_runs)
      check_image_order(folder_ / run.folder / "manifest.tsv");
    for (std::string& note : file.filename() == kSweepFile ? check_continues(before, own_, defaults, file)
                                                           : check_same_sweep(before, own_, defaults, file))
      notes.push_back(std::move(note));
    if (file == path()) {
      before.settings = std::move(own_.settings);
      before.images = std::move(own_.images);
      own_ = std::move(before);
    } else {
      others_.push_back(std::move(before));
    }
  }
  if (shard_) join();
  return notes;
}

void SweepBook::write() {
  lock();
  if (shard_) {
    write_sweep(path(), own_);
    join();
  } else {
    folder_.write(own_);
  }
  lock_.reset();
}

void SweepBook::refresh() {
  lock();
  others_.clear();
  for (const std::filesystem::path& file : record_files(folder_.path()))
    if (file != path()) others_.push_back(read_sweep(file));
  join();
  lock_.reset();
}

}  // namespace tdds
