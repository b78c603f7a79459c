#pragma once
// What training leaves on the disk, as safetensors.
//
//   model file       the parameters and buffers alone, under PyTorch's names, as load_state_dict(strict=True) takes them
//   checkpoint file  these under "model.", the momenta under "momentum.", the trainer's arrays under "trainer.", and
//                    in the metadata whatever the program adds: with it training goes on bit for bit
//
// Saving throws Error, and leaves the file as it was, where a weight or a momentum is not finite.

#include <filesystem>
#include <string>

#include "engine/net.h"
#include "engine/safetensors.h"
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

// Loads by name; a prefix "module." (DataParallel) is taken off, and f16 and bf16 (a model saved after .half()) become
// float32. Throws Error where a tensor is missing, has another shape or type, or is one too many, naming it.
void load_model(const std::filesystem::path& path, Stream& stream, Params& params);

void save_checkpoint(const std::filesystem::path& path, Stream& stream, const Params& params,
                     const Trainer& trainer, const Metadata& metadata);

// Fills parameters, momenta and the trainer's arrays, and returns the metadata. Nothing is changed on the
// device before the whole file was found to fit.
Metadata load_checkpoint(const std::filesystem::path& path, Stream& stream, Params& params, Trainer& trainer);

}  // namespace tdds
