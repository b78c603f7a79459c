#pragma once
// A synthetic data set that needs no download: one coloured figure on a 32x32 background, 10 classes, with a
// known set of wrong labels and near-duplicates. Everything is integer arithmetic on Philox draws keyed by
// (seed, kShapes, split, sample), so the images are the same on every machine.
//
// A sample's difficulty d, uniform in 0 .. 1, makes its figure smaller, paler, noisier, more rotated, further
// from the centre, and covered by more patches. Classes stay apart under horizontal flips and 4-pixel crops.

#include <cstdint>

#include "engine/data/dataset.h"

namespace tdds {

// Fills name, train, test, classes, class_names, mean, std and truth; the remaining fields are left empty.
// Classes alternate by row. Exactly round(wrong_label_fraction * count) training rows have a wrong label
// (uniform over the other classes), and round(duplicate_fraction * count) are near-duplicates: the drawing
// of another row of the same true class, which is not a duplicate itself, with other faint noise. The test
// split has neither. Throws UsageError for counts or fractions out of range.
Dataset draw_shapes(const DatasetOptions& options);

}  // namespace tdds
