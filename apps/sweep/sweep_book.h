#pragma once
// What is recorded of a sweep: by this process and, where several share the sweep, by the others.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/sweep/shard_records.h"
#include "apps/sweep/sweep_folder.h"
#include "engine/io/file_lock.h"

namespace tdds {

class SweepBook {
 public:
  // shard: this process is one of several; none: it does the whole sweep.
  SweepBook(const SweepFolder& folder, std::optional<Shard> shard) : folder_(folder), shard_(shard) {}

  // Takes the runs of the records in the folder over to `now`, which has none yet. With `overwrite` it
  // removes them instead. Throws Error, naming the first difference, if they are of another sweep. Returns
  // sentences about what an older record lacks. What it read stays locked until the next write().
  std::vector<std::string> start(SweepRecord now, const SweepDefaults& defaults, bool overwrite);

  // What this process did. A sweep of one process has no other record.
  SweepRecord& own() { return own_; }
  const SweepRecord& own() const { return own_; }
  // What all did, as of the last start(), write() or refresh().
  const SweepRecord& known() const { return shard_ ? joined_ : own_; }

  // Writes own(), and the tables of a sweep of one process.
  void write();
  // Reads what the others did.
  void refresh();

 private:
  void lock();
  void join();
  std::filesystem::path path() const;

  const SweepFolder& folder_;
  const std::optional<Shard> shard_;
  SweepRecord own_;
  std::vector<SweepRecord> others_;
  SweepRecord joined_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace tdds
