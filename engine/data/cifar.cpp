#include "engine/data/cifar.h"

#include <string_view>

#include "engine/data/cifar_source.h"
#include "engine/io/pickle.h"
#include "engine/io/text_lines.h"
#include "kernels/runtime/check.h"

namespace tdds {

namespace {

constexpr int kSide = 32;
constexpr std::size_t kPlane = std::size_t{kSide} * kSide;
constexpr std::size_t kImage = 3 * kPlane;
constexpr std::int64_t kOfficialTrain = 50'000, kOfficialTest = 10'000;

struct CifarTraits {
  int classes;
  std::size_t label_bytes;      // of a binary record; the fine label is the last of them
  std::string_view labels_key;  // of a pickle
  std::string_view names_key;
  std::array<float, 3> mean, std;  // as the official train.py has them
};

CifarTraits traits_of(const std::string& set) {
  if (set == "cifar10")
    return {10,
            1,
            "labels",
            "label_names",
            {125.3f / 255, 123.0f / 255, 113.9f / 255},
            {63.0f / 255, 62.1f / 255, 66.7f / 255}};
  return {100,
          2,
          "fine_labels",
          "fine_label_names",
          {129.3f / 255, 124.1f / 255, 112.4f / 255},
          {68.2f / 255, 65.4f / 255, 70.4f / 255}};
}

// Interleaves the R, G and B planes.
void append_image(ImageSet& set, const char* planes) {
  const std::size_t start = set.images.size();
  set.images.resize(start + kImage);
  std::uint8_t* out = set.images.data() + start;
  for (std::size_t i = 0; i < kPlane; ++i)
    for (std::size_t c = 0; c < 3; ++c) out[3 * i + c] = static_cast<std::uint8_t>(planes[c * kPlane + i]);
}

void append_label(ImageSet& set, std::int64_t label, int classes, const std::string& file, std::size_t row) {
  check(label >= 0 && label < classes, "{}, row {}: the label {} is not in 0 .. {}: fetch the file again.",
        file, row, label, classes - 1);
  set.labels.push_back(static_cast<std::int32_t>(label));
}

void append_binary(ImageSet& set, std::string_view bytes, const CifarTraits& traits,
                   const std::string& file) {
  const std::size_t record = traits.label_bytes + kImage;
  check(!bytes.empty() && bytes.size() % record == 0,
        "{} has {} bytes, which is not a whole number of {}-byte records: it is truncated or another file; "
        "fetch it again.",
        file, bytes.size(), record);
  const std::size_t rows = bytes.size() / record;
  set.images.reserve(set.images.size() + rows * kImage);
  for (std::size_t row = 0; row < rows; ++row) {
    const char* at = bytes.data() + row * record;
    append_label(set, static_cast<unsigned char>(at[traits.label_bytes - 1]), traits.classes, file, row);
    append_image(set, at + traits.label_bytes);
  }
}

void append_pickle(ImageSet& set, std::string_view bytes, const CifarTraits& traits,
                   const std::string& file) {
  const PickleDocument document(bytes, file);
  const PickleValue* data = document.root().find("data");
  const PickleValue* labels = document.root().find(traits.labels_key);
  check(data && labels, "{} is not a dict with 'data' and '{}': check that it belongs to this data set.",
        file, traits.labels_key);
  check(data->kind == PickleValue::Kind::kArray && data->dtype == "u1" && data->shape.size() == 2 &&
            data->shape[1] == static_cast<std::int64_t>(kImage) && data->shape[0] > 0,
        "{}: 'data' is not a uint8 array of shape [N, {}]: fetch the file again.", file, kImage);
  const auto rows = static_cast<std::size_t>(data->shape[0]);
  check(labels->kind == PickleValue::Kind::kList && labels->items.size() == rows,
        "{}: '{}' is not a list of {} labels, one per image: fetch the file again.", file, traits.labels_key,
        rows);
  set.images.reserve(set.images.size() + rows * kImage);
  for (std::size_t row = 0; row < rows; ++row) {
    const PickleValue& label = *labels->items[row];
    check(label.kind == PickleValue::Kind::kInt,
          "{}, row {}: the label is not an integer: fetch the file again.", file, row);
    append_label(set, label.number, traits.classes, file, row);
    append_image(set, data->data.data() + row * kImage);
  }
}

std::vector<std::string> names_from_pickle(std::string_view bytes, const CifarTraits& traits,
                                           const std::string& file) {
  const PickleDocument document(bytes, file);
  const PickleValue* list = document.root().find(traits.names_key);
  check(list && list->kind == PickleValue::Kind::kList,
        "{} is not a dict with a list '{}': fetch the file again.", file, traits.names_key);
  std::vector<std::string> names;
  for (const PickleValue* item : list->items) {
    check(item->kind == PickleValue::Kind::kString, "{}: a class name is not a string: fetch the file again.",
          file);
    names.emplace_back(item->text);
  }
  return names;
}

std::vector<std::string> class_names(const CifarSource& source, const CifarTraits& traits) {
  const std::string& file = source.form->names;
  std::vector<std::string> names;
  if (source.files.count(file) == 0) {
    for (int c = 0; c < traits.classes; ++c) names.push_back(fmt::format("class {}", c));
    return names;
  }
  const std::string label = source.label(file);
  names = source.form->pickled ? names_from_pickle(source.file(file), traits, label)
                               : names_of(source.file(file));
  check(names.size() == static_cast<std::size_t>(traits.classes),
        "{} names {} classes, but there are {}: fetch it again.", label, names.size(), traits.classes);
  return names;
}

}  // namespace

bool is_cifar(const std::string& name) {
  return name == "cifar10" || name == "cifar100";
}

Dataset load_cifar(const DatasetOptions& options) {
  CifarSource source = find_cifar(options);
  const CifarTraits traits = traits_of(options.name);
  Dataset dataset;
  dataset.name = options.name;
  dataset.notes = source.notes;
  dataset.classes = traits.classes;
  dataset.mean = traits.mean;
  dataset.std = traits.std;
  dataset.class_names = class_names(source, traits);
  dataset.train.height = dataset.train.width = dataset.test.height = dataset.test.width = kSide;

  const auto append = [&](ImageSet& set, const std::string& name) {
    const auto parse = source.form->pickled ? append_pickle : append_binary;
    parse(set, source.file(name), traits, source.label(name));
    source.files.erase(name);
  };
  for (const std::string& name : source.form->train) append(dataset.train, name);
  append(dataset.test, source.form->test);
  if (dataset.train.count() != kOfficialTrain || dataset.test.count() != kOfficialTest)
    dataset.notes.push_back(
        fmt::format("{} holds {} training and {} test images, but the official {} has {} and {}: results "
                    "are not comparable.",
                    source.place, dataset.train.count(), dataset.test.count(), options.name, kOfficialTrain,
                    kOfficialTest));
  return dataset;
}

}  // namespace tdds
