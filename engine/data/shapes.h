#pragma once
// A drawn data set that needs no download: one coloured figure on a 32x32 background, 10 classes, with wrong
// labels and near-duplicates planted where the truth is known. Everything is integer arithmetic on Philox
// draws keyed by (seed, kShapes, split, sample), so the same images appear on every machine.
//
// A sample's difficulty d, uniform in 0 .. 1, makes its figure smaller, paler, noisier, more rotated, further
// from the centre, and covered by more patches. Classes stay apart under horizontal flips and 4-pixel crops.

#include <cstdint>

#include "engine/data/dataset.h"

namespace tdds {

// name, train, test, classes, class_names, mean, std and truth; the remaining fields are left empty. Classes
// take turns by row. Exactly round(fraction * count) training rows have a wrong label (uniform over the other
// classes) and as many as the other fraction says are near-duplicates: the draw of another row of the same
// true class, which is no duplicate itself, under fresh faint noise. The test split has neither.
// Throws UsageError for counts or fractions out of range.
Dataset draw_shapes(const DatasetOptions& options);

}  // namespace tdds
