#include "engine/image/check_jpeg.h"

#include <algorithm>
#include <optional>

#include "engine/image/jpeg_scan.h"
#include "engine/image/picture.h"
#include "kernels/numerics/round_up.h"

namespace tdds {

namespace {

enum Marker : std::uint32_t {
  kBaseline = 0xC0,
  kExtended = 0xC1,
  kProgressive = 0xC2,
  kHuffman = 0xC4,
  kFirstRestart = 0xD0,
  kLastRestart = 0xD7,
  kStart = 0xD8,
  kEnd = 0xD9,
  kScan = 0xDA,
  kInterval = 0xDD,
  kAdobe = 0xEE,
};

// Lossless, hierarchical and arithmetic-coded frames.
bool is_other_frame(std::uint32_t type) {
  return type >= 0xC3 && type <= 0xCF && type != kHuffman && type != 0xC8 && type != 0xCC;
}

class Checker {
 public:
  Checker(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  CheckedJpeg check_all() {
    while (true) {
      const std::size_t marker = next_marker();
      const std::uint32_t type = byte_at(bytes_, at_++);
      if (type == kEnd) break;
      if (type == kStart || (type >= kFirstRestart && type <= kLastRestart) || type == 0) continue;
      const std::string_view segment = next_segment();
      check(!is_other_frame(type),
            "{} is a lossless or arithmetic JPEG, which is not read: convert it to PNG, or remove it.",
            file_);
      if (type == kBaseline || type == kExtended || type == kProgressive) {
        check_sound(frame_.components.empty(), file_, "it has a second header");
        frame_at_ = marker;
        take_frame(segment, type == kProgressive);
      } else if (type == kHuffman) {
        take_tables(segment);
      } else if (type == kInterval) {
        check_sound(segment.size() == 2, file_, "a segment has a wrong length");
        tables_.restart_interval = big16(segment, 0);
      } else if (type == kScan) {
        take_scan(segment, marker);
      } else if (type == kAdobe && segment.size() >= 12 && segment.starts_with("Adobe")) {
        adobe_ = byte_at(segment, 11);
      }
    }
    check(scans_ > 0, "{} is a truncated JPEG: restore or remove it.", file_);
    for (const JpegComponent& component : frame_.components) checked_.ends_early |= !component.seen;
    name_colours();
    checked_.rewritten = rewritten();
    return std::move(checked_);
  }

 private:
  // Replaces the bytes from `begin` to `end`.
  struct Edit {
    std::size_t begin, end;
    std::string bytes;
  };

  void check_there(bool there) const { check(there, "{} is a truncated JPEG: restore or remove it.", file_); }

  // Moves to the type of the next marker. Returns the position of its FF.
  std::size_t next_marker() {
    const std::size_t marker = bytes_.find('\xFF', at_);
    check_there(marker != std::string_view::npos);
    at_ = bytes_.find_first_not_of('\xFF', marker);
    check_there(at_ != std::string_view::npos);
    return marker;
  }

  std::string_view next_segment() {
    check_there(bytes_.size() - at_ >= 2);
    const std::size_t length = big16(bytes_, at_);
    check_sound(length >= 2, file_, "a segment has a wrong length");
    check_there(length <= bytes_.size() - at_);
    const std::string_view segment = bytes_.substr(at_ + 2, length - 2);
    at_ += length;
    return segment;
  }

  void take_frame(std::string_view segment, bool progressive) {
    check_sound(segment.size() >= 6 && segment.size() == 6 + 3 * byte_at(segment, 5), file_, "its header");
    check(byte_at(segment, 0) == 8,
          "{} is a JPEG of {} bits per value, which is not read: convert it to PNG, or remove it.", file_,
          byte_at(segment, 0));
    frame_.progressive = progressive;
    const std::uint32_t height = big16(segment, 1), width = big16(segment, 3);
    check_size(width, height, file_);
    std::uint32_t most_across = 1, most_down = 1;
    for (std::size_t at = 6; at < segment.size(); at += 3) {
      JpegComponent component{.id = byte_at(segment, at),
                              .across = byte_at(segment, at + 1) >> 4,
                              .down = byte_at(segment, at + 1) & 15};
      check_sound(
          component.across >= 1 && component.across <= 4 && component.down >= 1 && component.down <= 4, file_,
          "its header");
      most_across = std::max(most_across, component.across);
      most_down = std::max(most_down, component.down);
      frame_.components.push_back(std::move(component));
    }
    check_sound(!frame_.components.empty() && frame_.components.size() <= 4, file_, "its header");
    frame_.units_across = ceil_div(width, 8 * most_across);
    frame_.units_down = ceil_div(height, 8 * most_down);
    for (JpegComponent& component : frame_.components) {
      component.width = ceil_div(ceil_div(width * component.across, most_across), 8);
      component.height = ceil_div(ceil_div(height * component.down, most_down), 8);
      component.row = frame_.units_across * component.across;
      if (progressive) component.set.resize(std::size_t{component.row} * frame_.units_down * component.down);
    }
  }

  void take_tables(std::string_view segment) {
    constexpr std::size_t kCounts = 16;
    while (!segment.empty()) {
      check_sound(segment.size() >= 1 + kCounts, file_, "bad Huffman table");
      const std::uint32_t kind = byte_at(segment, 0) >> 4, number = byte_at(segment, 0) & 15;
      std::size_t codes = 0;
      for (std::size_t i = 1; i <= kCounts; ++i) codes += byte_at(segment, i);
      check_sound(kind <= 1 && number <= 3 && codes <= 256 && codes <= segment.size() - 1 - kCounts, file_,
                  "bad Huffman table");
      auto& table = kind == 0 ? tables_.dc[number] : tables_.ac[number];
      check_sound(table.build(segment.substr(1, kCounts), segment.substr(1 + kCounts, codes)), file_,
                  "bad Huffman table");
      segment.remove_prefix(1 + kCounts + codes);
    }
  }

  JpegScan scan_of(std::string_view segment) {
    check_sound(!frame_.components.empty(), file_, "it has a scan before its header");
    const std::size_t count = segment.empty() ? 0 : byte_at(segment, 0);
    check_sound(count >= 1 && count <= frame_.components.size() && segment.size() == 4 + 2 * count, file_,
                "a scan's header");
    JpegScan scan;
    for (std::size_t i = 0; i < count; ++i) {
      const auto found = std::find_if(
          frame_.components.begin(), frame_.components.end(),
          [&](const JpegComponent& component) { return component.id == byte_at(segment, 1 + 2 * i); });
      const std::uint32_t tables = byte_at(segment, 2 + 2 * i);
      check_sound(found != frame_.components.end() && tables >> 4 <= 3 && (tables & 15) <= 3, file_,
                  "a scan's header");
      scan.parts.push_back({.component = static_cast<std::size_t>(found - frame_.components.begin()),
                            .dc = tables >> 4,
                            .ac = tables & 15});
    }
    if (frame_.progressive) {
      const std::string_view end = segment.substr(1 + 2 * count);
      scan.first = byte_at(end, 0);
      scan.last = byte_at(end, 1);
      scan.high = byte_at(end, 2) >> 4;
      scan.low = byte_at(end, 2) & 15;
      // Only DC coefficients of several components may share a scan.
      check_sound(
          scan.first <= scan.last && scan.last <= 63 && (scan.first == 0 ? scan.last == 0 : count == 1),
          file_, "a scan's header");
    }
    for (const JpegScan::Part& part : scan.parts)
      if (scan.first == 0) frame_.components[part.component].seen = true;
    ++scans_;
    return scan;
  }

  void take_scan(std::string_view segment, std::size_t marker) {
    const FollowedScan followed = follow_scan(bytes_, at_, frame_, scan_of(segment), tables_, file_);
    checked_.ends_early |= followed.ends_early;
    at_ = followed.marker;
    if (!followed.ends_early || tables_.restart_interval > 0 || followed.whole_units == 0 ||
        followed.whole_units > 0xFFFF)
      return;
    insert(marker, interval_of(followed.whole_units));
    edits_.push_back({followed.end_of_whole, followed.marker, interval_of(0)});
  }

  static std::string interval_of(std::uint64_t units) {
    return {'\xFF', '\xDD', '\0', '\4', static_cast<char>(units >> 8), static_cast<char>(units & 255)};
  }

  // Inserts Adobe's marker if four components have none, or one of a kind that stb_image does not know.
  void name_colours() {
    if (frame_.components.size() != 4 || adobe_ == 0 || adobe_ == 2) return;
    std::string segment(
        "\xFF\xEE\0\x0E"
        "Adobe\0\x64\0\0\0\0\0",
        16);
    segment.back() = adobe_ ? 2 : 0;
    insert(frame_at_, segment);
  }

  void insert(std::size_t at, std::string bytes) { edits_.push_back({at, at, std::move(bytes)}); }

  std::string rewritten() {
    std::stable_sort(edits_.begin(), edits_.end(),
                     [](const Edit& a, const Edit& b) { return a.begin < b.begin; });
    std::string out;
    std::size_t done = 0;
    for (const Edit& edit : edits_) {
      out += bytes_.substr(done, edit.begin - done);
      out += edit.bytes;
      done = edit.end;
    }
    return edits_.empty() ? out : out.append(bytes_.substr(done));
  }

  std::string_view bytes_;
  const std::string& file_;
  std::size_t at_ = 2, frame_at_ = 0;
  int scans_ = 0;
  JpegFrame frame_;
  JpegTables tables_;
  std::optional<std::uint32_t> adobe_;
  std::vector<Edit> edits_;
  CheckedJpeg checked_;
};

}  // namespace

CheckedJpeg check_jpeg(std::string_view bytes, const std::string& file) {
  return Checker(bytes, file).check_all();
}

}  // namespace tdds
