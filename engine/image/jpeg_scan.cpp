#include "engine/image/jpeg_scan.h"

namespace tdds {

namespace {

class Follower {
 public:
  Follower(std::string_view bytes, std::size_t at, JpegFrame& frame, const JpegScan& scan,
           const JpegTables& tables, const std::string& file)
      : bytes_(bytes), bits_(bytes, at), frame_(frame), scan_(scan), tables_(tables), file_(file) {}

  FollowedScan follow() {
    const JpegComponent& only = frame_.components[scan_.parts[0].component];
    const bool alone = scan_.parts.size() == 1;
    const std::uint32_t across = alone ? only.width : frame_.units_across,
                        down = alone ? only.height : frame_.units_down;
    const std::uint64_t units = std::uint64_t{across} * down, interval = tables_.restart_interval;
    FollowedScan followed;
    for (std::uint64_t unit = 0; unit < units; ++unit) {
      if (interval > 0 && unit > 0 && unit % interval == 0 && !restart()) {
        followed.ends_early = true;
        break;
      }
      if (bits_.overrun()) continue;  // to the interval's end
      const JpegBits before = bits_;
      const auto x = static_cast<std::uint32_t>(unit % across), y = static_cast<std::uint32_t>(unit / across);
      if (alone)
        follow_block(scan_.parts[0], std::uint64_t{y} * only.row + x);
      else
        follow_unit(x, y);
      if (!bits_.overrun()) continue;
      followed = {.marker = 0, .ends_early = true, .whole_units = unit, .end_of_whole = before.position()};
      if (interval == 0) break;
    }
    followed.marker = bits_.marker();
    return followed;
  }

 private:
  void follow_unit(std::uint32_t x, std::uint32_t y) {
    for (const JpegScan::Part& part : scan_.parts) {
      const JpegComponent& component = frame_.components[part.component];
      for (std::uint32_t v = 0; v < component.down; ++v)
        for (std::uint32_t h = 0; h < component.across; ++h)
          follow_block(part, (std::uint64_t{y} * component.down + v) * component.row +
                                 std::uint64_t{x} * component.across + h);
    }
  }

  void follow_block(const JpegScan::Part& part, std::uint64_t block) {
    if (!frame_.progressive) {
      follow_dc(part);
      follow_ac(tables_.ac[part.ac], 1, 63, nullptr);
    } else if (scan_.first == 0) {
      if (scan_.high == 0)
        follow_dc(part);
      else
        bits_.skip(1);
    } else {
      std::uint64_t& set = frame_.components[part.component].set[block];
      if (scan_.high == 0)
        follow_ac(tables_.ac[part.ac], scan_.first, scan_.last, &set);
      else
        refine_ac(tables_.ac[part.ac], set);
    }
  }

  // After the end, every code is accepted: the caller checks overrun().
  std::uint32_t decode(const JpegHuffman& table) {
    const int value = table.decode(bits_);
    if (value < 0 && bits_.has_fewer(16)) bits_.skip(16);
    check_sound(value >= 0 || bits_.overrun(), file_, "its scan has a code that its tables lack");
    return value < 0 ? 0 : static_cast<std::uint32_t>(value);
  }

  void follow_dc(const JpegScan::Part& part) {
    const std::uint32_t bits = decode(tables_.dc[part.dc]);
    check_sound(bits <= 15 || bits_.overrun(), file_, "its scan has a value that is too large");
    bits_.skip(bits & 15);
  }

  // `set` is null if the scan is not progressive: it then has no runs of empty blocks.
  void follow_ac(const JpegHuffman& table, std::uint32_t first, std::uint32_t last, std::uint64_t* set) {
    if (empty_blocks_ > 0) {
      --empty_blocks_;
      return;
    }
    for (std::uint32_t k = first; k <= last; ++k) {
      const std::uint32_t code = decode(table), zeros = code >> 4, bits = code & 15;
      if (bits == 0 && zeros < 15) {
        if (set != nullptr) empty_blocks_ = (1u << zeros) - 1 + bits_.take(zeros);
        return;
      }
      k += zeros;
      if (bits == 0) continue;
      check_sound(k <= 63 || bits_.overrun(), file_, "its scan has a value outside its block");
      bits_.skip(bits);
      if (set != nullptr) *set |= std::uint64_t{1} << (k & 63);
    }
  }

  // Each nonzero value before the next new one has one more bit.
  void refine_ac(const JpegHuffman& table, std::uint64_t& set) {
    std::uint32_t k = scan_.first;
    std::uint64_t fresh = 0;
    for (; empty_blocks_ == 0 && k <= scan_.last; ++k) {
      const std::uint32_t code = decode(table), bits = code & 15;
      std::uint32_t zeros = code >> 4;
      if (bits == 0 && zeros < 15) {
        empty_blocks_ = (1u << zeros) + bits_.take(zeros);
        break;
      }
      if (bits != 0) bits_.skip(1);
      for (; k <= scan_.last; ++k) {
        if ((set >> k & 1) != 0)
          bits_.skip(1);
        else if (zeros-- == 0)
          break;
      }
      if (bits != 0 && k <= scan_.last) fresh |= std::uint64_t{1} << k;
    }
    if (empty_blocks_ > 0) {
      for (; k <= scan_.last; ++k)
        if ((set >> k & 1) != 0) bits_.skip(1);
      --empty_blocks_;
    }
    set |= fresh;
  }

  // Moves past the restart marker. Returns false if another marker follows.
  bool restart() {
    check_sound(bits_.overrun() || bits_.has_fewer(8), file_,
                "its scan has more data than its restart interval");
    const std::size_t type = bytes_.find_first_not_of('\xFF', bits_.marker());
    if (type == std::string_view::npos) return false;
    const std::uint32_t marker = byte_at(bytes_, type);
    if (marker < 0xD0 || marker > 0xD7) return false;
    check_sound(marker == 0xD0 + restarts_++ % 8, file_, "its restart markers are out of order");
    bits_ = JpegBits(bytes_, type + 1);
    empty_blocks_ = 0;
    return true;
  }

  std::string_view bytes_;
  JpegBits bits_;
  JpegFrame& frame_;
  const JpegScan& scan_;
  const JpegTables& tables_;
  const std::string& file_;
  std::uint32_t empty_blocks_ = 0, restarts_ = 0;
};

}  // namespace

FollowedScan follow_scan(std::string_view bytes, std::size_t at, JpegFrame& frame, const JpegScan& scan,
                         const JpegTables& tables, const std::string& file) {
  return Follower(bytes, at, frame, scan, tables, file).follow();
}

}  // namespace tdds
