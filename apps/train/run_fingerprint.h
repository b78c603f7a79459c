#pragma once
// The identity of the training that a checkpoint belongs to: everything that decides its bits. A resumed run
// must have the same identity.

#include <optional>
#include <string>
#include <vector>

#include "apps/cli/cli.h"
#include "apps/train/run_history.h"
#include "apps/train/train_options.h"

namespace tdds {

// The identity of the images: the fingerprints of the training, test and held-out sets and, for image files,
// of their manifests and decoding.
RunFingerprint data_fingerprint(const TrainConfig& config, const Dataset& data);

// Checks that `now` has the images of `recorded`: the fingerprints are equal or, as for one set on disk and
// in memory, the manifests. Throws Error, naming the set that differs. Sets that the record lacks are
// appended to `untold`. path: the file that holds the record.
void check_same_images(const RunFingerprint& recorded, const RunFingerprint& now, const std::string& path,
                       std::vector<std::string>& untold);

// The value of a key or flag at the time when files did not record it yet; empty if it was today's default.
std::optional<std::string> value_before(const std::string& key);

// Checks that a run may be continued. Throws Error naming the first option that differs; with a step
// schedule, the number of epochs may differ. Returns sentences about what an older file does not record and
// about what may change the bits from here on.
std::vector<std::string> check_same_run(const RunFingerprint& recorded, const RunFingerprint& now,
                                        const std::string& path);

// The values that `auto` was resolved to in this run: device, stem, crop and crop_size.
FlagTexts made_choices(const TrainConfig& config, const TrainingSetup& setup);
// The values that it would be resolved to in this run, even if others were given.
FlagTexts automatic_choices(const TrainConfig& config, const TrainingSetup& setup);
// `flags` with the values of `choices`.
FlagTexts with_choices(FlagTexts flags, const FlagTexts& choices);

// subset: null for the whole training set.
RunFingerprint run_fingerprint(const TrainConfig& config, const TrainingSetup& setup, const Trainer& trainer,
                               const SubsetChoice* subset);

}  // namespace tdds
