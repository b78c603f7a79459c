#pragma once
// The training dynamics of every sample in one file, `dynamics.tdds`. It is self-describing, append-only,
// checksummed, and safe against a crash at any moment. docs/pytorch_users.md reads a field with numpy alone.
//
//   offset 0    64 bytes: "TDDSDYN1", u32 version, u32 length of the JSON, u32 CRC-32 of everything before
//               the first record (this field as zero), u32 zero, u64 offset of the first record, u64 bytes of
//               a record; the rest zero
//   offset 64   JSON: samples, classes, dataset, fingerprint, manifest (of a data set of files), seed, number
//               of labels (N or 0), fields [{name, type, offset in the payload}]; then the labels, int32 [N]
//   records     one per epoch, 0, 1, 2, ...: 64 bytes "EPOC", u32 epoch, u32 zero, u32 CRC-32 of the payload,
//               u64 bytes of the payload, u32 CRC-32 of these 64 bytes (this field as zero), the rest zero;
//               then the payload: each field [N] by sample id
//
// All numbers are little-endian; JSON, labels, records and fields start at multiples of 64. A record's 64
// bytes are written after its payload is on the disk. Without them, the record does not exist (an incomplete
// end of the file); with them, a wrong checksum means damage.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/io/dynamics_fields.h"
#include "engine/io/mapped_file.h"

namespace tdds {

struct DynamicsHeader {
  std::int64_t samples = 0;  // N
  std::int32_t classes = 0;
  std::string dataset;                                            // its name
  std::string fingerprint;                                        // of its images and labels
  std::string manifest = {};                                      // hash of its files' manifest, or empty
  std::uint64_t seed = 0;                                         // of the run
  std::vector<std::int32_t> labels;                               // [N] as trained on, or empty
  std::vector<DynamicsField> fields = default_dynamics_fields();  // what is recorded
};

class DynamicsWriter {
 public:
  // resume_epochs = 0 starts a new file and replaces an old one. Otherwise continues the file at `path`,
  // which must hold at least that many complete epochs of the same run (equal header); later epochs and an
  // incomplete end are cut off. Throws Error with the reason.
  DynamicsWriter(std::string path, DynamicsHeader header, std::int32_t resume_epochs = 0);
  ~DynamicsWriter();
  DynamicsWriter(const DynamicsWriter&) = delete;
  DynamicsWriter& operator=(const DynamicsWriter&) = delete;

  std::int32_t epochs() const { return epochs_; }  // recorded so far
  // A sentence on what was cut off when the file was opened; empty if nothing was.
  const std::string& repair() const { return repair_; }

  // Appends epoch `epoch`, which must be epochs(). The epoch is on the disk when this returns. After an
  // Error, such as a full disk, the file still holds all earlier epochs.
  void append(std::int32_t epoch, const EpochDynamics& values);

 private:
  std::string path_, repair_;
  DynamicsHeader header_;
  std::int64_t data_offset_ = 0, record_bytes_ = 0;
  std::int32_t epochs_ = 0;
  int fd_ = -1;
};

// A mapped file. Its pointers are valid as long as the reader exists.
class DynamicsReader {
 public:
  // Verifies every checksum. An incomplete end, of a run that is not finished or was killed, is ignored and
  // described by torn_end(). Throws Error for damage.
  explicit DynamicsReader(const std::string& path);

  const std::string& path() const { return path_; }
  const DynamicsHeader& header() const { return header_; }
  std::int64_t samples() const { return header_.samples; }
  std::int32_t epochs() const { return epochs_; }
  const std::string& torn_end() const { return torn_end_; }
  bool has(DynamicsField field) const;
  // Lets the system free the epoch's pages. They are loaded again when read.
  void release(std::int32_t epoch) const;

  // [N] by sample id. Throws Error if the field was not recorded or the epoch is not below epochs().
  const float* values(DynamicsField field, std::int32_t epoch) const;  // not kCorrect
  const float* kl(std::int32_t epoch) const { return values(DynamicsField::kAbsKl, epoch); }
  const float* loss(std::int32_t epoch) const { return values(DynamicsField::kLoss, epoch); }
  const float* log_other(std::int32_t epoch) const { return values(DynamicsField::kLogOther, epoch); }
  const float* entropy(std::int32_t epoch) const { return values(DynamicsField::kEntropy, epoch); }
  const float* el2n(std::int32_t epoch) const { return values(DynamicsField::kEl2n, epoch); }
  const std::uint8_t* correct(std::int32_t epoch) const;

 private:
  const std::byte* field(DynamicsField field, std::int32_t epoch) const;

  std::string path_, torn_end_;
  MappedFile map_;
  DynamicsHeader header_;
  std::int64_t data_offset_ = 0, record_bytes_ = 0;
  std::int32_t epochs_ = 0;
};

// Whether `path` is a dynamics store (by its first bytes).
bool is_dynamics_store(const std::string& path);

// The official files of one epoch, `<folder>/<epoch>_{Loss,Output,Index}.npy`: float32 [n], float32 [n, K]
// and int64 [n], rows in visiting order. Creates the folder.
void write_official_epoch(const std::string& folder, std::int32_t epoch, std::span<const float> loss,
                          std::span<const float> logits, std::int64_t classes,
                          std::span<const std::int64_t> ids);

}  // namespace tdds
