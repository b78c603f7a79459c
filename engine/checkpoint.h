#pragma once
// The files that training saves, in the safetensors format.
//
//   model file       the parameters and buffers alone, under PyTorch's names, as load_state_dict(strict=True)
//                    takes them
//   checkpoint file  the same under "model.", the momenta under "momentum.", the trainer's arrays under
//                    "trainer.", and the program's metadata; training resumed from it has the same bits as
//                    without the interruption
//
// If a weight or a momentum is not finite, saving throws Error and leaves the file unchanged.

#include <filesystem>
#include <string>

#include "engine/io/safetensors.h"
#include "engine/net.h"
#include "engine/trainer.h"

namespace tdds {

// A copy of the parameters and buffers on the host, to be written as a model file.
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

// Where the last layer comes from. kRandom keeps the network's own random weights, for a data set with other
// classes.
enum class Head : std::uint8_t { kFile, kRandom };
const char* to_string(Head head);  // "file", "random"

// Loads tensors by name, from a model file or a checkpoint. The components "module" (DataParallel) and
// "_orig_mod" (torch.compile) of a name are dropped. f16, bf16 and f64 become float32, and a missing
// num_batches_tracked counts as 0. Throws Error that names the tensor, and changes nothing, if a tensor is
// missing, duplicated, unknown, of another shape or type, or not finite, or if a running variance is
// negative.
void load_model(const std::filesystem::path& path, Stream& stream, Params& params, Head head = Head::kFile);

void save_checkpoint(const std::filesystem::path& path, Stream& stream, const Params& params,
                     const Trainer& trainer, const Metadata& metadata);

// Fills parameters, momenta and the trainer's arrays, and returns the metadata. Nothing changes on the
// device before the whole file is found to fit and to contain finite numbers only.
Metadata load_checkpoint(const std::filesystem::path& path, Stream& stream, Params& params, Trainer& trainer);

}  // namespace tdds
