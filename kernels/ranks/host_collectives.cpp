#include "kernels/ranks/host_collectives.h"

#include <algorithm>

#include "kernels/numerics/half_convert.h"
#include "kernels/numerics/round_up.h"
#include "kernels/ranks/ranks.h"
#include "kernels/runtime/host_stream.h"

namespace tdds {
namespace {

// Elements that one rank adds up at a time: they stay in its cache.
constexpr std::int64_t kPart = 32768;

template <class T>
void add_parts(const T* parts, std::int64_t n, int ranks, T* sum) {
  for (std::int64_t i = 0; i < n; ++i) {
    float total = to_float(parts[i]);
    for (int rank = 1; rank < ranks; ++rank) total += to_float(parts[rank * n + i]);
    sum[i] = from_float<T>(total);
  }
}

class HostCollectives final : public Collectives {
 public:
  HostCollectives(Device& device, Ranks& ranks)
      : ranks_(ranks),
        send_(device, buffer_bytes(), "what a rank sends"),
        receive_(device, buffer_bytes(), "what a rank receives") {}

  void all_gather(Stream& stream, void* slots, std::size_t slot_bytes) override {
    enqueue<Args>(stream, "all_gather", {this, slots, static_cast<std::int64_t>(slot_bytes)},
                  [](const Args& args) { args.self->gather(args.data, args.n); });
  }
  void sum(Stream& stream, void* data, std::int64_t n, DType dtype) override {
    enqueue<Args>(stream, "sum_of_ranks", {this, data, n, dtype},
                  [](const Args& args) { args.self->add_up(args); });
  }
  void broadcast(Stream& stream, void* data, std::size_t bytes) override {
    enqueue<Args>(stream, "broadcast", {this, data, static_cast<std::int64_t>(bytes)}, [](const Args& args) {
      args.self->ranks_.broadcast(args.data, static_cast<std::size_t>(args.n));
    });
  }

 private:
  struct Args {
    HostCollectives* self;
    void* data;
    std::int64_t n;  // elements or bytes
    DType dtype = DType::kU8;
  };

  std::size_t buffer_bytes() const { return static_cast<std::size_t>(ranks_.size() * kPart) * sizeof(float); }

  void gather(void* slots, std::int64_t bytes) {
    const auto* mine = static_cast<const std::byte*>(slots) + ranks_.rank() * bytes;
    ranks_.all_gather(mine, slots, static_cast<std::size_t>(bytes));
  }

  void add_up(const Args& args) {
    if (args.dtype == DType::kF32) return add_up(static_cast<float*>(args.data), args.n);
    if (args.dtype == DType::kF16) return add_up(static_cast<half_t*>(args.data), args.n);
    if (args.dtype == DType::kBf16) return add_up(static_cast<bf16_t*>(args.data), args.n);
    throw Error("Collectives::sum: there is no sum of this type");
  }

  // Each rank adds up a part of the elements, and all get every part. The order of the additions does not
  // depend on who makes them.
  template <class T>
  void add_up(T* data, std::int64_t n) {
    const std::int64_t ranks = ranks_.size();
    T *send = send_.get<T>(), *received = receive_.get<T>();
    for (std::int64_t begin = 0; begin < n; begin += ranks * kPart) {
      const std::int64_t count = std::min(n - begin, ranks * kPart), part = ceil_div(count, ranks);
      std::copy_n(data + begin, count, send);
      std::fill_n(send + count, ranks * part - count, T{});
      const auto bytes = static_cast<std::size_t>(part) * sizeof(T);
      ranks_.all_to_all(send, received, bytes);
      add_parts(received, part, ranks_.size(), send);
      ranks_.all_gather(send, received, bytes);
      std::copy_n(received, count, data + begin);
    }
  }

  Ranks& ranks_;
  DeviceMemory send_, receive_;
};

}  // namespace

std::unique_ptr<Collectives> make_host_collectives(Device& device, Ranks& ranks) {
  return std::make_unique<HostCollectives>(device, ranks);
}

}  // namespace tdds
