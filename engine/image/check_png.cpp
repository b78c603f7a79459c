#include <zlib.h>

#include <array>
#include <vector>

#include "engine/image/image_bytes.h"
#include "engine/image/image_checks.h"
#include "engine/image/picture.h"
#include "engine/io/crc32.h"

namespace tdds {

namespace {

constexpr std::size_t kSignature = 8, kAround = 12;  // a chunk has 12 bytes besides its data

struct Chunk {
  std::string_view type, data;
};

// Returns the chunk at `at` and moves `at` past it.
Chunk next_chunk(std::string_view bytes, std::size_t& at, const std::string& file) {
  check_sound(bytes.size() - at >= kAround, file, "cut short");
  const std::size_t length = big32(bytes, at);
  check_sound(length <= bytes.size() - at - kAround, file, "cut short, or a chunk's length is wrong");
  const std::string_view summed = bytes.substr(at + 4, 4 + length);
  check_sound(crc32(summed.data(), summed.size()) == big32(bytes, at + 8 + length), file,
              "a chunk's CRC-32 is wrong");
  at += kAround + length;
  return {summed.substr(0, 4), summed.substr(4)};
}

struct Header {
  std::uint32_t width = 0, height = 0, depth = 0, colour = 0, interlaced = 0;

  std::uint64_t bits_per_pixel() const {
    constexpr std::array<std::uint32_t, 7> kChannels{1, 0, 3, 1, 2, 0, 4};
    return std::uint64_t{kChannels[colour]} * depth;
  }
  // Each row has a byte for its filter; an empty image has no rows.
  std::uint64_t bytes_of(std::uint64_t w, std::uint64_t h) const {
    return w == 0 ? 0 : h * (1 + (w * bits_per_pixel() + 7) / 8);
  }
  std::uint64_t pixel_bytes() const {
    if (interlaced == 0) return bytes_of(width, height);
    struct Pass {
      std::uint32_t x, y, step_x, step_y;
    };
    constexpr Pass kPasses[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    std::uint64_t sum = 0;
    for (const Pass& pass : kPasses)
      sum += bytes_of((std::uint64_t{width} + pass.step_x - 1 - pass.x) / pass.step_x,
                      (std::uint64_t{height} + pass.step_y - 1 - pass.y) / pass.step_y);
    return sum;
  }
};

bool is_depth_of(std::uint32_t depth, std::uint32_t colour) {
  switch (colour) {
    case 0:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case 3:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case 2:
    case 4:
    case 6:
      return depth == 8 || depth == 16;
    default:
      return false;
  }
}

Header header_of(const Chunk& chunk, const std::string& file) {
  check_sound(chunk.type == "IHDR" && chunk.data.size() == 13, file, "it does not begin with its header");
  const Header header{.width = big32(chunk.data, 0),
                      .height = big32(chunk.data, 4),
                      .depth = byte_at(chunk.data, 8),
                      .colour = byte_at(chunk.data, 9),
                      .interlaced = byte_at(chunk.data, 12)};
  check_size(header.width, header.height, file);
  check_sound(is_depth_of(header.depth, header.colour) && byte_at(chunk.data, 10) == 0 &&
                  byte_at(chunk.data, 11) == 0 && header.interlaced <= 1,
              file, "its header has a value that PNG does not allow");
  return header;
}

// The IDAT chunks as one zlib stream, unpacked piece by piece.
class Unpacker {
 public:
  Unpacker(std::uint64_t expected, const std::string& file) : expected_(expected), file_(file) {
    check(inflateInit(&stream_) == Z_OK, "{} cannot be unpacked: there is no memory for it.", file);
  }
  ~Unpacker() { inflateEnd(&stream_); }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  void add(std::string_view data) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream_.avail_in = static_cast<uInt>(data.size());
    while (!ended_ && (stream_.avail_in > 0 || stream_.avail_out == 0)) {
      stream_.next_out = piece_.data();
      stream_.avail_out = static_cast<uInt>(piece_.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      ended_ = result == Z_STREAM_END;
      check_sound(ended_ || result == Z_OK || result == Z_BUF_ERROR, file_,
                  stream_.msg != nullptr ? stream_.msg : "its pixels cannot be unpacked");
      unpacked_ += piece_.size() - stream_.avail_out;
      // Some writers add a little data after the pixels. The limit stops a stream that never ends.
      check_sound(unpacked_ <= expected_ + piece_.size(), file_, "more pixels than its size says");
    }
  }
  void check_whole() const {
    check_sound(ended_, file_, "its pixels end early");
    check_sound(unpacked_ >= expected_, file_, "fewer pixels than its size says");
  }

 private:
  z_stream stream_{};
  std::vector<Bytef> piece_ = std::vector<Bytef>(64 << 10);
  std::uint64_t expected_, unpacked_ = 0;
  bool ended_ = false;
  const std::string& file_;
};

}  // namespace

void check_png(std::string_view bytes, const std::string& file) {
  std::size_t at = kSignature;
  const Header header = header_of(next_chunk(bytes, at, file), file);
  Unpacker pixels(header.pixel_bytes(), file);
  bool palette = false, data = false, data_ended = false;
  while (true) {
    const Chunk chunk = next_chunk(bytes, at, file);
    if (chunk.type == "IEND") {
      check_sound(chunk.data.empty() && data, file, "it has no pixels, or its end chunk is not empty");
      break;
    }
    data_ended |= data && chunk.type != "IDAT";
    if (chunk.type == "IDAT") {
      check_sound(!data_ended, file, "its pixel chunks are not consecutive");
      check_sound(palette || header.colour != 3, file, "it has no palette");
      data = true;
      pixels.add(chunk.data);
    } else if (chunk.type == "PLTE") {
      const std::size_t length = chunk.data.size();
      check_sound(!palette && !data && length > 0 && length % 3 == 0 && length <= 768, file,
                  "its palette is out of place or has a wrong length");
      palette = true;
    } else {
      // A capital letter marks a chunk that a reader must understand.
      check_sound((byte_at(chunk.type, 0) & 32) != 0, file, "it has a chunk that PNG does not define");
    }
  }
  pixels.check_whole();
}

std::string with_whole_palette(std::string_view png) {
  constexpr std::size_t kColour = kSignature + 17, kWhole = 768;
  if (byte_at(png, kColour) != 3) return {};
  for (std::size_t at = kSignature;;) {
    const std::size_t length = big32(png, at);
    if (png.substr(at + 4, 4) != "PLTE") {
      at += kAround + length;
      continue;
    }
    if (length == kWhole) return {};
    std::string whole(png.substr(0, at));
    whole += std::string_view("\0\0\x03\0PLTE", 8);
    whole += png.substr(at + 8, length);
    whole.append(kWhole - length, '\0');
    return whole += png.substr(at + 8 + length);  // stb_image ignores the checksum
  }
}

}  // namespace tdds
