#pragma once
// The parameters of a network: flat blocks with named slices.
//
// There are two ranges: the convolution filters, whose gradients are in the compute type, and everything
// else, whose gradients are fp32. Each has the fp32 master weights, the momentum, the gradients and, unless
// the compute type is fp32, the copy that the layers read. The optimizer is one launch over both. Every
// slice starts at a multiple of 128 elements (256 bytes in any type); the padding is zero in every block and
// stays so. Buffers are values that a network keeps but does not train: running statistics and counters.
//
// Names and shapes are those of PyTorch's state_dict; inside, filters are KRSC with the channels padded with
// zeros to `stored_channels`.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/runtime/device.h"
#include "kernels/runtime/tensor_view.h"

namespace tdds {

enum class ParamKind { kFilter, kLinear, kVector, kRunning, kCounter };

struct Param {
  std::string name;                 // "layer1.0.conv1.weight"
  std::vector<std::int64_t> shape;  // PyTorch's
  ParamKind kind;
  std::int32_t stored_channels = 0;  // of a filter: C in memory, >= shape[1]
  std::int64_t offset = 0;           // in its range, in elements
  std::int64_t stored_elements = 0;  // in memory
  float constant = 0;                // initial value of vectors, running statistics and counters
  double bound = 0;  // filters: standard deviation; linear layers: bound of the uniform distribution

  std::int64_t elements() const;  // product(shape)
};

class Params {
 public:
  // Declare parameters, before place(). Each returns the index for the accessors.
  int add_filter(std::string name, std::int32_t out_channels, std::int32_t channels, std::int32_t size,
                 std::int32_t stored_channels);  // He normal, fan-out: std = sqrt(2 / (R S K))
  int add_linear_weight(std::string name, std::int32_t out_features, std::int32_t in_features);
  int add_linear_bias(std::string name, std::int32_t out_features, std::int32_t in_features);
  int add_vector(std::string name, std::int32_t n, float value);
  int add_running(std::string name, std::int32_t n, float value);
  int add_counter(std::string name);

  // Allocates everything at once and fills it with zeros. `compute` is the type of activations and filter
  // gradients.
  void place(Device& device, Stream& stream, DType compute);

  const std::vector<Param>& list() const { return list_; }  // in state_dict order
  std::int64_t trainable() const;                           // parameters, as PyTorch counts them
  std::size_t bytes() const { return memory_.bytes(); }

  // The slices that layers read and write.
  const void* filter(int index) const;      // compute type [K,R,S,C]
  void* filter_gradient(int index) const;   // compute type [K,R,S,C]
  float* vector(int index) const;           // fp32; also linear weights and biases
  float* vector_gradient(int index) const;  // fp32
  float* running(int index) const;          // fp32
  std::int64_t* counter(int index) const;
  std::span<float> all_running() const { return {running_, static_cast<std::size_t>(running_elements_)}; }

  // A whole range, as the optimizer reads it.
  struct Range {
    float* w = nullptr;
    float* v = nullptr;
    void* gradient = nullptr;
    void* compute = nullptr;  // null if the layers read w itself
    DType compute_type = DType::kF32;
    std::int64_t n = 0;
  };
  const Range& filters() const { return filters_; }
  const Range& vectors() const { return vectors_; }

  // PyTorch's initialisation of the official model, drawn by Philox (seed, kInit, index in list(), element);
  // momenta and padding are 0.
  void initialize(Stream& stream, std::uint64_t seed);

  // Copy values in PyTorch's layout from or to the host, and synchronise the stream. `which` is "weight",
  // "momentum" or "gradient"; buffers have only the first. Counters are I64, all others F32.
  std::vector<std::byte> download(Stream& stream, int index, const char* which = "weight") const;
  void upload(Stream& stream, int index, std::span<const std::byte> values, const char* which = "weight");

 private:
  int add(Param param);
  void refresh_compute_copy(Stream& stream, int index, std::span<const float> stored);

  std::vector<Param> list_;
  Range filters_, vectors_;
  float* running_ = nullptr;
  std::int64_t* counters_ = nullptr;
  std::int64_t running_elements_ = 0, counter_elements_ = 0;
  DeviceMemory memory_;
};

}  // namespace tdds
