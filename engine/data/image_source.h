#pragma once
// Images that stay on the disk and are read row by row.

#include <cstdint>
#include <memory>
#include <vector>

namespace tdds {

// Several threads may read at once.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // Copies the pixels of `row`, [H,W,3], to `out`. Throws Error if they are damaged.
  virtual void read(std::int64_t row, std::uint8_t* out) const = 0;
  // A checksum of these pixels, known without reading them.
  virtual std::uint32_t checksum(std::int64_t row) const = 0;
  // The sums and sums of squares of these pixels by channel, also known without reading them.
  struct Sums {
    std::int64_t sum[3], squares[3];
  };
  virtual Sums sums(std::int64_t row) const = 0;
};

// Row i is row rows[i] of `source`.
std::shared_ptr<const ImageSource> rows_of(std::shared_ptr<const ImageSource> source,
                                           std::vector<std::int32_t> rows);

}  // namespace tdds
