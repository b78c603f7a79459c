#include "engine/data/corruption.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "engine/data/dataset.h"
#include "engine/data/parallel_files.h"
#include "kernels/numerics/philox.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

constexpr std::array<const char*, kCorruptions.size()> kNames{"gaussian_noise", "occlusion", "resolution",
                                                              "fog", "motion_blur"};

// The streams of Purpose::kCorrupt. Pixels draw from kPixels on.
enum Stream : std::uint32_t { kRows = 0, kLook = 1, kPixels = 2 };

struct Picture {
  int height, width;
  std::uint8_t* pixels;

  std::uint8_t* at(int y, int x) const { return pixels + 3 * (std::int64_t{y} * width + x); }
  int side() const { return std::min(height, width); }
};

std::uint8_t clamped(std::int64_t value) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(value, 0, 255));
}

void add_gaussian_noise(const Picture& picture, std::uint64_t seed, std::uint64_t id) {
  // The sum of eight draws of 0 .. 65535 has a standard deviation of 65536 * sqrt(8 / 12).
  constexpr std::int64_t kMean = 8 * 65535 / 2, kDeviation = 53'510, kWanted = 38;
  const std::int64_t values = std::int64_t{3} * picture.height * picture.width;
  for (std::int64_t i = 0; i < values; ++i) {
    std::int64_t sum = 0;  // of the halves of four words
    const PhiloxWords words = philox(seed, Purpose::kCorrupt, kPixels + static_cast<std::uint32_t>(i), id);
    for (const std::uint32_t word : words.w) sum += (word & 0xFFFF) + (word >> 16);
    picture.pixels[i] = clamped(picture.pixels[i] + (sum - kMean) * kWanted / kDeviation);
  }
}

void occlude(const Picture& picture, const PhiloxWords& look) {
  const int side = std::max(1, picture.side() / 2);
  const int top = static_cast<int>(scaled(look.w[0], static_cast<std::uint32_t>(picture.height - side + 1)));
  const int left = static_cast<int>(scaled(look.w[1], static_cast<std::uint32_t>(picture.width - side + 1)));
  for (int y = top; y < top + side; ++y) std::fill_n(picture.at(y, left), 3 * side, std::uint8_t{0});
}

void lower_resolution(const Picture& picture) {
  const int block = std::max(2, picture.side() / 8);
  for (int top = 0; top < picture.height; top += block)
    for (int left = 0; left < picture.width; left += block)
      for (int c = 0; c < 3; ++c) {
        const int bottom = std::min(picture.height, top + block),
                  right = std::min(picture.width, left + block);
        const int count = (bottom - top) * (right - left);
        int sum = 0;
        for (int y = top; y < bottom; ++y)
          for (int x = left; x < right; ++x) sum += picture.at(y, x)[c];
        for (int y = top; y < bottom; ++y)
          for (int x = left; x < right; ++x)
            picture.at(y, x)[c] = static_cast<std::uint8_t>((sum + count / 2) / count);
      }
}

// The fog's density is drawn at 4 x 4 points, in units of 1 / 1000, and interpolated between them.
void add_fog(const Picture& picture, std::uint64_t seed, std::uint64_t id) {
  constexpr int kPoints = 4, kMin = 400, kRange = 401, kWhole = 1000;
  int density[kPoints][kPoints];
  for (int i = 0; i < kPoints; ++i) {
    const PhiloxWords words = philox(seed, Purpose::kCorrupt, kPixels + static_cast<std::uint32_t>(i), id);
    for (int j = 0; j < kPoints; ++j) density[i][j] = kMin + static_cast<int>(scaled(words.w[j], kRange));
  }
  const auto place = [](int at, int extent) { return std::int64_t{at} * (kPoints - 1) * kWhole / extent; };
  for (int y = 0; y < picture.height; ++y)
    for (int x = 0; x < picture.width; ++x) {
      const std::int64_t v = place(y, picture.height), u = place(x, picture.width);
      const std::int64_t i = v / kWhole, j = u / kWhole, dv = v % kWhole, du = u % kWhole;
      const std::int64_t upper = density[i][j] * (kWhole - du) + density[i][j + 1] * du;
      const std::int64_t lower = density[i + 1][j] * (kWhole - du) + density[i + 1][j + 1] * du;
      const std::int64_t fog = (upper * (kWhole - dv) + lower * dv) / (kWhole * kWhole);
      for (int c = 0; c < 3; ++c) {
        std::uint8_t& value = picture.at(y, x)[c];
        value = clamped((value * (kWhole - fog) + 255 * fog) / kWhole);
      }
    }
}

void blur_by_motion(const Picture& picture, const PhiloxWords& look) {
  constexpr std::array<std::pair<int, int>, 4> kDirections{{{0, 1}, {1, 0}, {1, 1}, {1, -1}}};
  const auto [down, right] = kDirections[scaled(look.w[0], 4)];
  const int length = std::max(3, picture.side() / 4);
  const std::vector<std::uint8_t> before(picture.pixels,
                                         picture.pixels + std::int64_t{3} * picture.height * picture.width);
  for (int y = 0; y < picture.height; ++y)
    for (int x = 0; x < picture.width; ++x)
      for (int c = 0; c < 3; ++c) {
        int sum = 0;
        for (int i = 0; i < length; ++i) {
          const int from_y = std::clamp(y + (i - length / 2) * down, 0, picture.height - 1);
          const int from_x = std::clamp(x + (i - length / 2) * right, 0, picture.width - 1);
          sum += before[static_cast<std::size_t>(3 * (std::int64_t{from_y} * picture.width + from_x) + c)];
        }
        picture.at(y, x)[c] = static_cast<std::uint8_t>((sum + length / 2) / length);
      }
}

// The rows to change, ascending: those whose sample ids have the smallest draws.
std::vector<std::int32_t> drawn_rows(const Dataset& dataset, double share, std::uint64_t seed,
                                     Purpose purpose) {
  std::vector<std::pair<std::uint32_t, std::int32_t>> draws;
  draws.reserve(static_cast<std::size_t>(dataset.train.count()));
  for (std::int32_t row = 0; row < dataset.train.count(); ++row)
    draws.emplace_back(philox(seed, purpose, kRows, static_cast<std::uint64_t>(dataset.train_ids[row])).w[0],
                       row);
  std::sort(draws.begin(), draws.end());
  draws.resize(static_cast<std::size_t>(std::floor(share * static_cast<double>(draws.size()) + 0.5)));
  std::vector<std::int32_t> rows;
  rows.reserve(draws.size());
  for (const auto& draw : draws) rows.push_back(draw.second);
  std::sort(rows.begin(), rows.end());
  return rows;
}

GroundTruth& truth_of(Dataset& dataset) {
  if (!dataset.truth) {
    const auto rows = static_cast<std::size_t>(dataset.train.count());
    dataset.truth = GroundTruth{.true_labels = dataset.train.labels,
                                .wrong_label = std::vector<std::uint8_t>(rows, 0),
                                .duplicate_of = std::vector<std::int32_t>(rows, -1),
                                .difficulty = {},
                                .corruption = {}};
  }
  return *dataset.truth;
}

// Corrupts images after reading them. The images on the disk do not change.
class CorruptedSource : public ImageSource {
 public:
  CorruptedSource(const ImageSet& set, std::vector<std::uint8_t> corruption, std::vector<std::int32_t> ids,
                  std::uint64_t seed)
      : source_(set.source),
        height_(set.height),
        width_(set.width),
        corruption_(std::move(corruption)),
        ids_(std::move(ids)),
        seed_(seed) {}

  void read(std::int64_t row, std::uint8_t* out) const override {
    source_->read(row, out);
    const auto at = static_cast<std::size_t>(row);
    if (corruption_[at] != 0)
      corrupt_image(static_cast<Corruption>(corruption_[at] - 1), seed_, static_cast<std::uint64_t>(ids_[at]),
                    height_, width_, out);
  }
  // The checksum of the image on the disk, plus the corruption's number.
  std::uint32_t checksum(std::int64_t row) const override {
    return source_->checksum(row) + corruption_[static_cast<std::size_t>(row)];
  }
  Sums sums(std::int64_t row) const override { return source_->sums(row); }

 private:
  std::shared_ptr<const ImageSource> source_;
  int height_, width_;
  std::vector<std::uint8_t> corruption_;
  std::vector<std::int32_t> ids_;
  std::uint64_t seed_;
};

}  // namespace

const char* to_string(Corruption kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

void corrupt_image(Corruption kind, std::uint64_t seed, std::uint64_t id, int height, int width,
                   std::uint8_t* pixels) {
  const Picture picture{height, width, pixels};
  const PhiloxWords look = philox(seed, Purpose::kCorrupt, kLook, id);
  switch (kind) {
    case Corruption::kGaussianNoise:
      return add_gaussian_noise(picture, seed, id);
    case Corruption::kOcclusion:
      return occlude(picture, look);
    case Corruption::kResolution:
      return lower_resolution(picture);
    case Corruption::kFog:
      return add_fog(picture, seed, id);
    case Corruption::kMotionBlur:
      return blur_by_motion(picture, look);
  }
}

void check_corruption(const DatasetOptions& options) {
  check_usage(options.label_noise >= 0 && options.label_noise <= 1,
              "`label_noise` is {}: give the share of the labels to change, 0 to 1.", options.label_noise);
  check_usage(options.corrupt_fraction >= 0 && options.corrupt_fraction <= 1,
              "`corrupt_fraction` is {}: give the share of the images to corrupt, 0 to 1.",
              options.corrupt_fraction);
}

void add_label_noise(Dataset& dataset, const DatasetOptions& options) {
  if (options.label_noise == 0) return;
  check(dataset.classes >= 2, "`label_noise` needs at least two classes, and {} has {}.", dataset.name,
        dataset.classes);
  GroundTruth& truth = truth_of(dataset);
  for (const std::int32_t row :
       drawn_rows(dataset, options.label_noise, options.seed, Purpose::kLabelNoise)) {
    const auto id = static_cast<std::uint64_t>(dataset.train_ids[row]);
    const std::uint32_t word = philox(options.seed, Purpose::kLabelNoise, kLook, id).w[0];
    const auto step =
        static_cast<std::int32_t>(1 + scaled(word, static_cast<std::uint32_t>(dataset.classes - 1)));
    std::int32_t& label = dataset.train.labels[row];
    label = (label + step) % dataset.classes;
    truth.wrong_label[row] = label != truth.true_labels[row] ? 1 : 0;
  }
}

void corrupt_images(Dataset& dataset, const DatasetOptions& options) {
  if (options.corrupt.empty() || options.corrupt_fraction == 0) return;
  const std::vector<Corruption>& kinds = options.corrupt;
  std::vector<std::uint8_t> corruption(static_cast<std::size_t>(dataset.train.count()), 0);
  const std::vector<std::int32_t> rows =
      drawn_rows(dataset, options.corrupt_fraction, options.seed, Purpose::kCorrupt);
  for (const std::int32_t row : rows) {
    const auto id = static_cast<std::uint64_t>(dataset.train_ids[row]);
    const std::uint32_t word = philox(options.seed, Purpose::kCorrupt, kLook, id).w[3];
    const Corruption kind = kinds[scaled(word, static_cast<std::uint32_t>(kinds.size()))];
    corruption[row] = static_cast<std::uint8_t>(1 + static_cast<int>(kind));
  }
  ImageSet& set = dataset.train;
  if (set.source)
    set.source = std::make_shared<CorruptedSource>(set, corruption, dataset.train_ids, options.seed);
  else
    polled_loop(static_cast<std::int64_t>(rows.size()), options.poll, [&](std::int64_t i) {
      const std::int32_t row = rows[static_cast<std::size_t>(i)];
      corrupt_image(static_cast<Corruption>(corruption[row] - 1), options.seed,
                    static_cast<std::uint64_t>(dataset.train_ids[row]), set.height, set.width,
                    set.images.data() + row * set.image_bytes());
    });
  truth_of(dataset).corruption = std::move(corruption);
}

}  // namespace tdds
