#include "engine/data/image_source.h"

#include <utility>

namespace tdds {

namespace {

class RowsOf : public ImageSource {
 public:
  RowsOf(std::shared_ptr<const ImageSource> source, std::vector<std::int32_t> rows)
      : source_(std::move(source)), rows_(std::move(rows)) {}

  void read(std::int64_t row, std::uint8_t* out) const override { source_->read(of(row), out); }
  std::uint32_t checksum(std::int64_t row) const override { return source_->checksum(of(row)); }
  Sums sums(std::int64_t row) const override { return source_->sums(of(row)); }

 private:
  std::int64_t of(std::int64_t row) const { return rows_[static_cast<std::size_t>(row)]; }

  std::shared_ptr<const ImageSource> source_;
  std::vector<std::int32_t> rows_;
};

}  // namespace

std::shared_ptr<const ImageSource> rows_of(std::shared_ptr<const ImageSource> source,
                                           std::vector<std::int32_t> rows) {
  return std::make_shared<RowsOf>(std::move(source), std::move(rows));
}

}  // namespace tdds
