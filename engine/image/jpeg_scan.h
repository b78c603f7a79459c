#pragma once
// Follows a JPEG's scan from block to block without decoding it, to check whether it is complete.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/image/jpeg_bits.h"

namespace tdds {

struct JpegComponent {
  std::uint32_t id = 0, across = 1, down = 1;  // sampling factors
  std::uint32_t width = 0, height = 0;         // in blocks, of a scan that has this component alone
  std::uint32_t row = 0;                       // blocks of a row, with those that pad the last unit
  std::vector<std::uint64_t> set = {};         // progressive: which coefficients of each block are not 0
  bool seen = false;                           // a scan has its first coefficients
};

struct JpegFrame {
  bool progressive = false;
  std::uint32_t units_across = 0, units_down = 0;  // of a scan of all components
  std::vector<JpegComponent> components;
};

struct JpegScan {
  struct Part {
    std::size_t component = 0;
    std::uint32_t dc = 0, ac = 0;  // tables
  };
  std::vector<Part> parts;
  std::uint32_t first = 0, last = 63, high = 0, low = 0;  // coefficients, and bits of them
};

struct JpegTables {
  std::array<JpegHuffman, 4> dc, ac;
  std::uint32_t restart_interval = 0;  // 0: none
};

struct FollowedScan {
  std::size_t marker = 0;  // the position of the marker after it
  bool ends_early = false;
  // Without a restart interval: the number of units before the first incomplete one, and where they end.
  std::uint64_t whole_units = 0;
  std::size_t end_of_whole = 0;
};

// `at` is the first byte after the scan's header. Throws Error that names `file` if the data have an invalid
// code, or more units than a restart interval.
FollowedScan follow_scan(std::string_view bytes, std::size_t at, JpegFrame& frame, const JpegScan& scan,
                         const JpegTables& tables, const std::string& file);

}  // namespace tdds
