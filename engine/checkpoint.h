#pragma once
// What training leaves on the disk, as safetensors.
//
//   model file       the parameters and buffers alone, under PyTorch's names, as load_state_dict(strict=True)
//                    takes them
//   checkpoint file  these under "model.", the momenta under "momentum.", the trainer's arrays under
//                    "trainer.", and in the metadata whatever the program adds: with it training goes on bit
//                    for bit
//
// Saving throws Error, and leaves the file as it was, where a weight or a momentum is not finite.

#include <filesystem>
#include <string>

#include "engine/io/safetensors.h"
#include "engine/net.h"
#include "engine/trainer.h"

namespace tdds {

// The parameters and buffers at one moment, copied to the host, as a model file has them.
class ModelSnapshot {
 public:
  ModelSnapshot(Stream& stream, const Params& params, Metadata metadata);
  ModelSnapshot(ModelSnapshot&&) = default;
  ModelSnapshot& operator=(ModelSnapshot&&) = default;
  void write(const std::filesystem::path& path) const;

 private:
  std::vector<std::vector<std::byte>> copies_;
  std::vector<NamedTensor> tensors_;  // of the copies
  Metadata metadata_;
};

void save_model(const std::filesystem::path& path, Stream& stream, const Params& params,
                const Metadata& metadata);

// Where the last layer comes from: kRandom leaves the network's as it was drawn, for a data set with other
// classes.
enum class Head : std::uint8_t { kFile, kRandom };
const char* to_string(Head head);  // "file", "random"

// Loads by name, from a model file or a checkpoint. The components "module" (DataParallel) and "_orig_mod"
// (torch.compile) of a name are dropped. f16, bf16 and f64 become float32, and a missing num_batches_tracked
// counts as 0. Throws Error, naming the tensor, where one is missing, given twice, one too many, of another
// shape or type, or not finite, a running variance also where it is negative; nothing is changed then.
void load_model(const std::filesystem::path& path, Stream& stream, Params& params, Head head = Head::kFile);

void save_checkpoint(const std::filesystem::path& path, Stream& stream, const Params& params,
                     const Trainer& trainer, const Metadata& metadata);

// Fills parameters, momenta and the trainer's arrays, and returns the metadata. Nothing is changed on the
// device before the whole file was found to fit and to hold finite numbers.
Metadata load_checkpoint(const std::filesystem::path& path, Stream& stream, Params& params, Trainer& trainer);

}  // namespace tdds
