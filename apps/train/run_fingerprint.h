#pragma once
// Which training a checkpoint belongs to: what decides its bits, so that it is only resumed with the same.

#include <optional>
#include <string>
#include <vector>

#include "apps/cli/cli.h"
#include "apps/train/run_history.h"
#include "apps/train/train_options.h"

namespace tdds {

// Which images: of the training, the test and the held-out set the fingerprint and, of image files, what
// their manifest and decoding come to.
RunFingerprint data_fingerprint(const TrainConfig& config, const Dataset& data);

// Whether `now` sees the images that `recorded` saw: the fingerprints are equal or, as between a set on the
// disk and one in memory, the manifests. Throws Error, naming the set that differs. Sets that the record does
// not tell of are appended to `untold`. path: of the file that holds the record.
void check_same_images(const RunFingerprint& recorded, const RunFingerprint& now, const std::string& path,
                       std::vector<std::string>& untold);

// What a key or flag that an older file lacks was then; nothing where now's default is what was then.
std::optional<std::string> value_before(const std::string& key);

// Whether a run may go on. Throws Error naming the first option that differs; the number of epochs may where
// the schedule is in steps. Returns sentences on what an older file does not tell and on what may change the
// bits from here on.
std::vector<std::string> check_same_run(const RunFingerprint& recorded, const RunFingerprint& now,
                                        const std::string& path);

// What `auto` came to in this run: device, stem, crop and crop_size.
FlagTexts made_choices(const TrainConfig& config, const TrainingSetup& setup);
// What it comes to in this run, whatever was given.
FlagTexts automatic_choices(const TrainConfig& config, const TrainingSetup& setup);
// `flags` with the values of `choices`.
FlagTexts with_choices(FlagTexts flags, const FlagTexts& choices);

// subset: null for the whole training set.
RunFingerprint run_fingerprint(const TrainConfig& config, const TrainingSetup& setup, const Trainer& trainer,
                               const SubsetChoice* subset);

}  // namespace tdds
