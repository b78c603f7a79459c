#pragma once
// Training in several processes: what each of them sets up. engine/data_parallel.h says what they compute.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "apps/train/training_setup.h"
#include "kernels/ranks/ranks.h"

namespace tdds {

// Makes the setup of this rank. Rank 0 is first: it reads the data, and `plan` plans its passes, for which it
// times the plans of convolutions; the others take these. On each machine one rank reads the data before the
// others do, so that images are decoded once.
std::unique_ptr<TrainingSetup> set_up_rank(const TrainConfig& config, Ranks& ranks,
                                           const std::function<void(TrainingSetup&)>& plan);

// Throws Error where a rank differs from rank 0 in its build, its device, or `fingerprint`.
void check_ranks_are_alike(Ranks& ranks, const TrainingSetup& setup,
                           const std::map<std::string, std::string>& fingerprint);

// "2 ranks on 1 machine, each with 1 thread" for the log. Collective.
std::string ranks_sentence(Ranks& ranks, const TrainConfig& config, const Device& device);

}  // namespace tdds
