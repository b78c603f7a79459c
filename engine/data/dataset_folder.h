#pragma once
// Data sets from a user's own files: a folder per class, or .npy arrays.

#include "engine/data/dataset.h"

namespace tdds {

// Loads <data_path>/train and <data_path>/val or test, decoded to options.image_size. Without val and test,
// val_fraction must be given, and load_dataset tests on the held-out images. mean and std are computed from
// the training images. Two layouts of ILSVRC2012 are recognised: train/ and val/ below ILSVRC/Data/CLS-LOC,
// and a val/ of loose images (engine/data/image_listing.h). With options.cache_dir, decoded images are kept
// there (engine/data/dataset_cache.h). Throws Error for damaged images unless options.skip_bad, and for
// class folders that differ between the splits.
Dataset load_folder(const DatasetOptions& options);

// Loads {train,val,test}_{images,labels} (engine/data/npy_source.h) of the folder or .npz at data_path. val
// is the validation set, or the test set if test is absent; both may be absent as above. Classes are 0 ..
// the largest label, named in the folder's class_names.txt if there is one.
Dataset load_npy(const DatasetOptions& options);

// The memory limit of a data set in bytes: options.memory_gib, or half of the machine's memory.
std::int64_t memory_limit(const DatasetOptions& options);

// Sets mean and std to those of the training pixels / 255. The std of a channel is at least 1 / 255.
void set_channel_statistics(Dataset& dataset);

}  // namespace tdds
