#include "engine/io/dynamics_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/atomic_file.h"
#include "engine/io/crc32.h"
#include "engine/io/mapped_file.h"
#include "engine/io/npy.h"
#include "engine/io/system_reason.h"
#include "kernels/numerics/round_up.h"
#include "kernels/runtime/check.h"

namespace tdds {
namespace {

static_assert(std::endian::native == std::endian::little, "the store is little-endian and used in place");

constexpr std::int64_t kAlignment = 64;
constexpr std::array<char, 8> kMagic{'T', 'D', 'D', 'S', 'D', 'Y', 'N', '1'};
constexpr std::array<char, 4> kRecordMagic{'E', 'P', 'O', 'C'};
constexpr std::uint32_t kVersion = 1;
constexpr std::int64_t kMaxSamples = std::int64_t{1} << 40;

struct FilePrefix {
  std::array<char, 8> magic;
  std::uint32_t version, json_bytes, crc, zero;
  std::uint64_t data_offset, record_bytes;
  std::array<char, 24> padding;
};
static_assert(sizeof(FilePrefix) == kAlignment);

struct RecordHeader {
  std::array<char, 4> magic;
  std::uint32_t epoch, zero, payload_crc;
  std::uint64_t payload_bytes;
  std::uint32_t crc;
  std::array<char, 36> padding;
};
static_assert(sizeof(RecordHeader) == kAlignment);

std::uint32_t crc_of(FilePrefix prefix, const void* body) {
  prefix.crc = 0;
  return crc32(body, prefix.data_offset - sizeof(prefix), crc32(&prefix, sizeof(prefix)));
}

std::uint32_t crc_of(RecordHeader record) {
  record.crc = 0;
  return crc32(&record, sizeof(record));
}

std::int64_t aligned(std::int64_t bytes) {
  return round_up(bytes, kAlignment);
}

std::int64_t item_bytes(DynamicsField field) {
  return field == DynamicsField::kCorrect ? 1 : 4;
}

// Where `field` starts in a payload; for null, the payload's length.
std::int64_t offset_in_payload(const DynamicsHeader& header, const DynamicsField* field) {
  std::int64_t offset = 0;
  for (const DynamicsField recorded : header.fields) {
    if (field && recorded == *field) return offset;
    offset += aligned(header.samples * item_bytes(recorded));
  }
  return offset;
}

std::int64_t payload_bytes(const DynamicsHeader& header) {
  return offset_in_payload(header, nullptr);
}

std::int64_t record_bytes(const DynamicsHeader& header) {
  return kAlignment + payload_bytes(header);
}

std::int64_t labels_offset_after(std::size_t json_bytes) {
  return kAlignment + aligned(static_cast<std::int64_t>(json_bytes));
}

// Everything before the first record.
std::string header_bytes(const DynamicsHeader& header) {
  check(header.samples > 0 && header.samples <= kMaxSamples, "a dynamics store cannot have {} samples",
        header.samples);
  check(header.labels.empty() || static_cast<std::int64_t>(header.labels.size()) == header.samples,
        "the dynamics store has {} labels for {} samples", header.labels.size(), header.samples);
  nlohmann::ordered_json json{{"samples", header.samples},
                              {"classes", header.classes},
                              {"dataset", header.dataset},
                              {"fingerprint", header.fingerprint},
                              {"seed", header.seed}};
  if (!header.manifest.empty()) json["manifest"] = header.manifest;
  for (const DynamicsField field : header.fields) {
    json["fields"].push_back({{"name", to_string(field)},
                              {"type", item_bytes(field) == 1 ? "|u1" : "<f4"},
                              {"offset", offset_in_payload(header, &field)}});
  }
  json["labels"] = header.labels.size();
  const std::string text = json.dump();
  const std::int64_t labels_offset = labels_offset_after(text.size());
  const auto label_bytes = static_cast<std::int64_t>(header.labels.size()) * 4;

  std::string body(static_cast<std::size_t>(labels_offset - kAlignment + aligned(label_bytes)), '\0');
  std::memcpy(body.data(), text.data(), text.size());
  if (label_bytes > 0) {
    std::memcpy(body.data() + labels_offset - kAlignment, header.labels.data(),
                static_cast<std::size_t>(label_bytes));
  }
  FilePrefix prefix{};
  prefix.magic = kMagic;
  prefix.version = kVersion;
  prefix.json_bytes = static_cast<std::uint32_t>(text.size());
  prefix.data_offset = static_cast<std::uint64_t>(kAlignment) + body.size();
  prefix.record_bytes = static_cast<std::uint64_t>(record_bytes(header));
  prefix.crc = crc_of(prefix, body.data());
  return std::string(reinterpret_cast<const char*>(&prefix), sizeof(prefix)) + body;
}

DynamicsField parse_field(const std::string& name) {
  if (const auto field = find_dynamics_field(name)) return *field;
  throw Error(fmt::format("the field '{}' is unknown; read the file with the version that wrote it", name));
}

DynamicsHeader parse_header(const std::byte* map, const FilePrefix& prefix) {
  const auto* text = reinterpret_cast<const char*>(map) + kAlignment;
  const auto json = nlohmann::json::parse(text, text + prefix.json_bytes);
  DynamicsHeader header;
  header.samples = json.at("samples");
  header.classes = json.at("classes");
  header.dataset = json.at("dataset");
  header.fingerprint = json.at("fingerprint");
  header.manifest = json.value("manifest", "");
  header.seed = json.at("seed");
  header.fields.clear();
  for (const auto& field : json.at("fields")) header.fields.push_back(parse_field(field.at("name")));
  const std::size_t count = json.at("labels");
  const auto offset = static_cast<std::uint64_t>(labels_offset_after(prefix.json_bytes));
  check(header.samples > 0 && header.samples <= kMaxSamples &&
            (count == 0 || count == static_cast<std::size_t>(header.samples)) &&
            offset + count * 4 <= prefix.data_offset &&
            prefix.record_bytes == static_cast<std::uint64_t>(record_bytes(header)),
        "its header contradicts itself");
  header.labels.resize(count);
  if (count > 0) std::memcpy(header.labels.data(), map + offset, count * 4);
  return header;
}

struct Contents {
  DynamicsHeader header;
  std::int64_t data_offset = 0, record_bytes = 0;
  std::int32_t epochs = 0;
  std::string torn_end;
};

// Returns whether the record at `epoch` was completed. Throws Error if it is damaged.
bool check_record(const MappedFile& file, const Contents& contents, std::int32_t epoch,
                  const std::string& path) {
  const std::int64_t begin = contents.data_offset + epoch * contents.record_bytes;
  const auto left = static_cast<std::int64_t>(file.bytes()) - begin;
  if (left < kAlignment) return false;
  RecordHeader record;
  std::memcpy(&record, file.data() + begin, sizeof(record));
  static constexpr RecordHeader kUnwritten{};
  if (std::memcmp(&record, &kUnwritten, sizeof(record)) == 0) return false;
  const std::int64_t payload = contents.record_bytes - kAlignment;
  const bool header_sound = record.magic == kRecordMagic && record.crc == crc_of(record) &&
                            record.epoch == static_cast<std::uint32_t>(epoch) &&
                            record.payload_bytes == static_cast<std::uint64_t>(payload);
  if (header_sound && left < contents.record_bytes) return false;
  check(header_sound &&
            crc32(file.data() + begin + kAlignment, static_cast<std::size_t>(payload)) == record.payload_crc,
        "{} is damaged in epoch {} (from byte {}): its checksum is wrong; restore the file or record again",
        path, epoch, begin);
  return true;
}

Contents check_contents(const MappedFile& file, const std::string& path) {
  check(file.bytes() >= kMagic.size() && std::memcmp(file.data(), kMagic.data(), kMagic.size()) == 0,
        "{} is not a dynamics store (its first bytes are not TDDSDYN1)", path);
  check(file.bytes() >= sizeof(FilePrefix), "{} is truncated within its header", path);
  FilePrefix prefix;
  std::memcpy(&prefix, file.data(), sizeof(prefix));
  check(prefix.version == kVersion, "{} is of version {}; this program reads version {}", path,
        prefix.version, kVersion);
  check(prefix.data_offset <= file.bytes(), "{} is truncated within its header", path);
  const bool sane = prefix.data_offset >= sizeof(prefix) && prefix.data_offset % kAlignment == 0 &&
                    prefix.json_bytes <= prefix.data_offset - sizeof(prefix);
  check(sane && prefix.crc == crc_of(prefix, file.data() + sizeof(prefix)),
        "{} has a damaged header: its checksum is wrong", path);

  Contents contents;
  try {
    contents.header = parse_header(file.data(), prefix);
  } catch (const std::exception& error) {
    throw Error(fmt::format("{} has a header that cannot be used: {}", path, error.what()));
  }
  contents.data_offset = static_cast<std::int64_t>(prefix.data_offset);
  contents.record_bytes = static_cast<std::int64_t>(prefix.record_bytes);
  while (check_record(file, contents, contents.epochs, path)) {
    // The checked pages are not needed now: releasing them bounds the memory.
    const std::int64_t begin = contents.data_offset + contents.epochs * contents.record_bytes;
    file.release_pages(static_cast<std::size_t>(begin), static_cast<std::size_t>(contents.record_bytes));
    ++contents.epochs;
  }
  const std::int64_t end = contents.data_offset + contents.epochs * contents.record_bytes;
  const std::int64_t torn = static_cast<std::int64_t>(file.bytes()) - end;
  check(torn <= contents.record_bytes, "{} is damaged in epoch {} (from byte {}): the record is blank", path,
        contents.epochs, end);
  if (torn > 0) {
    contents.torn_end = fmt::format("{}: the record of epoch {} was never finished ({} of {} bytes)", path,
                                    contents.epochs, torn, contents.record_bytes);
  }
  return contents;
}

void check_same_run(const DynamicsHeader& stored, const DynamicsHeader& wanted, const std::string& path) {
  const auto differ = [&](const char* what) {
    throw Error(
        fmt::format("{} was recorded with another {}; continue that run with its own options or "
                    "choose another `save_path`",
                    path, what));
  };
  // The fingerprint of a set depends on whether it is on the disk or in memory; the manifest does not.
  const bool same_files = !stored.manifest.empty() && stored.manifest == wanted.manifest;
  if (stored.dataset != wanted.dataset || (stored.fingerprint != wanted.fingerprint && !same_files))
    differ("data set");
  if (stored.samples != wanted.samples) differ("number of samples");
  if (stored.classes != wanted.classes) differ("number of classes");
  if (stored.labels != wanted.labels) differ("set of labels");
  if (stored.seed != wanted.seed) differ("seed");
  if (stored.fields != wanted.fields) differ("set of recorded fields");
}

}  // namespace

DynamicsWriter::DynamicsWriter(std::string path, DynamicsHeader header, std::int32_t resume_epochs)
    : path_(std::move(path)), header_(std::move(header)), record_bytes_(tdds::record_bytes(header_)) {
  if (resume_epochs == 0) {
    const std::string head = header_bytes(header_);
    AtomicFile file(path_);
    file.write(head);
    file.commit();
    data_offset_ = static_cast<std::int64_t>(head.size());
  } else {
    const Contents contents = check_contents(MappedFile(path_), path_);
    check_same_run(contents.header, header_, path_);
    check(contents.epochs >= resume_epochs,
          "{} holds {} epochs, but the checkpoint continues after {}; start over with `overwrite`", path_,
          contents.epochs, resume_epochs);
    data_offset_ = contents.data_offset;
    repair_ = contents.torn_end;
    if (contents.epochs > resume_epochs) {
      repair_ = fmt::format("{}: epochs {} to {} are later than the checkpoint and are recorded again", path_,
                            resume_epochs, contents.epochs - 1);
    }
  }
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  check(fd_ >= 0, "{} cannot be written: {}", path_, system_reason(errno));
  epochs_ = resume_epochs;
  const std::int64_t end = data_offset_ + epochs_ * record_bytes_;
  if (::ftruncate(fd_, end) != 0) {
    ::close(fd_);
    throw Error(fmt::format("{} cannot be shortened: {}", path_, system_reason(errno)));
  }
}

DynamicsWriter::~DynamicsWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void DynamicsWriter::append(std::int32_t epoch, const EpochDynamics& values) {
  check(epoch == epochs_, "{}: epoch {} cannot follow {} recorded epochs", path_, epoch, epochs_);
  const auto source = [&](DynamicsField field) -> std::pair<const void*, std::size_t> {
    if (field == DynamicsField::kCorrect) return {values.correct.data(), values.correct.size()};
    return {values.floats(field).data(), values.floats(field).size()};
  };
  std::vector<std::byte> payload(static_cast<std::size_t>(record_bytes_ - kAlignment));
  std::byte* next = payload.data();
  for (const DynamicsField field : header_.fields) {
    const auto [data, count] = source(field);
    check(static_cast<std::int64_t>(count) == header_.samples, "{}: {} values of {} for {} samples", path_,
          count, to_string(field), header_.samples);
    std::memcpy(next, data, count * static_cast<std::size_t>(item_bytes(field)));
    next += aligned(header_.samples * item_bytes(field));
  }
  RecordHeader record{};
  record.magic = kRecordMagic;
  record.epoch = static_cast<std::uint32_t>(epoch);
  record.payload_crc = crc32(payload.data(), payload.size());
  record.payload_bytes = payload.size();
  record.crc = crc_of(record);

  const std::int64_t begin = data_offset_ + epoch * record_bytes_;
  const auto seek = [&](std::int64_t offset) {
    check(::lseek(fd_, offset, SEEK_SET) == offset, "{} cannot be written: {}", path_, system_reason(errno));
  };
  const auto flush = [&] {
    check(::fdatasync(fd_) == 0, "{} cannot be written: {}", path_, system_reason(errno));
  };
  seek(begin + kAlignment);
  write_all(fd_, payload.data(), payload.size(), path_);
  flush();
  seek(begin);
  write_all(fd_, &record, sizeof(record), path_);
  flush();
  ++epochs_;
}

DynamicsReader::DynamicsReader(const std::string& path) : path_(path), map_(path) {
  Contents contents = check_contents(map_, path);
  torn_end_ = std::move(contents.torn_end);
  header_ = std::move(contents.header);
  data_offset_ = contents.data_offset;
  record_bytes_ = contents.record_bytes;
  epochs_ = contents.epochs;
}

bool DynamicsReader::has(DynamicsField field) const {
  return std::find(header_.fields.begin(), header_.fields.end(), field) != header_.fields.end();
}

void DynamicsReader::release(std::int32_t epoch) const {
  const std::int64_t begin = data_offset_ + epoch * record_bytes_;
  map_.release_pages(static_cast<std::size_t>(begin), static_cast<std::size_t>(record_bytes_));
}

const std::byte* DynamicsReader::field(DynamicsField field, std::int32_t epoch) const {
  check(has(field), "{} holds no '{}': it was recorded without it; train again with {}", path_,
        to_string(field), flag_recording(field));
  check(epoch >= 0 && epoch < epochs_, "{} holds {} epochs; epoch {} was requested", path_, epochs_, epoch);
  return map_.data() + data_offset_ + epoch * record_bytes_ + kAlignment + offset_in_payload(header_, &field);
}

const float* DynamicsReader::values(DynamicsField which, std::int32_t epoch) const {
  check(which != DynamicsField::kCorrect, "DynamicsReader::values: 'correct' is bytes; use correct()");
  return reinterpret_cast<const float*>(field(which, epoch));
}

const std::uint8_t* DynamicsReader::correct(std::int32_t epoch) const {
  return reinterpret_cast<const std::uint8_t*>(field(DynamicsField::kCorrect, epoch));
}

bool is_dynamics_store(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 8> first{};
  const bool whole = ::read(fd, first.data(), first.size()) == static_cast<ssize_t>(first.size());
  ::close(fd);
  return whole && first == kMagic;
}

void write_official_epoch(const std::string& folder, std::int32_t epoch, std::span<const float> loss,
                          std::span<const float> logits, std::int64_t classes,
                          std::span<const std::int64_t> ids) {
  make_folder(folder);
  const auto samples = static_cast<std::int64_t>(ids.size());
  const std::string stem = fmt::format("{}/{}", folder, epoch);
  write_npy(stem + "_Loss.npy", loss, {samples});
  write_npy(stem + "_Output.npy", logits, {samples, classes});
  write_npy(stem + "_Index.npy", ids, {samples});
}

}  // namespace tdds
