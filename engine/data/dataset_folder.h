#pragma once
// Data sets from a user's own files: a folder per class, or .npy arrays.

#include "engine/dataset.h"

namespace tdds {

// <data_path>/train and <data_path>/val or test, decoded to options.image_size. Without the second, val_fraction
// must be given and load_dataset tests on the held-out images. mean and std are computed from the training images.
// ILSVRC2012's layouts are known: ILSVRC/Data/CLS-LOC in between, and a val/ of loose images (engine/image_listing.h).
// With options.cache_dir, decoded images are kept there (engine/dataset_cache.h). Throws Error for damaged
// images unless options.skip_bad, and for class folders that differ between the splits.
Dataset load_folder(const DatasetOptions& options);

// <data_path>/{train,test}_images.npy, uint8 [N,H,W,3] or [N,H,W], and {train,test}_labels.npy, int64, int32 or uint8
// [N]; test may be absent as above. Classes are 0 .. the largest label, named in class_names.txt where there is one.
Dataset load_npy(const DatasetOptions& options);

// Sets mean and std to those of the training pixels / 255; a channel without contrast gets 1 / 255 as its std.
void set_channel_statistics(Dataset& dataset);

}  // namespace tdds
