#pragma once
// Data sets from a user's own files: a folder per class, or .npy arrays.

#include "engine/data/dataset.h"

namespace tdds {

// <data_path>/train and <data_path>/val or test, decoded to options.image_size. Without the second,
// val_fraction must be given and load_dataset tests on the held-out images. mean and std are computed from
// the training images. ILSVRC2012's layouts are known: ILSVRC/Data/CLS-LOC in between, and a val/ of loose
// images (engine/data/image_listing.h). With options.cache_dir, decoded images are kept there
// (engine/data/dataset_cache.h). Throws Error for damaged images unless options.skip_bad, and for class
// folders that differ between the splits.
Dataset load_folder(const DatasetOptions& options);

// {train,val,test}_{images,labels} (engine/data/npy_source.h) of the folder or .npz that data_path is. val is
// the validation set, or the test set where there is none; both may be absent as above. Classes are 0 .. the
// largest label, named in the folder's class_names.txt where there is one.
Dataset load_npy(const DatasetOptions& options);

// What a data set may take in memory, in bytes: options.memory_gib, or half of the machine's.
std::int64_t memory_limit(const DatasetOptions& options);

// Sets mean and std to those of the training pixels / 255; a channel without contrast gets 1 / 255 as its
// std.
void set_channel_statistics(Dataset& dataset);

}  // namespace tdds
