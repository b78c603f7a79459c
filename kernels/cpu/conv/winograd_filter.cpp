// Winograd's filter gradient: M_f [K,C] = Y_f^T [K,tiles] V_f [tiles,C], 36 times.
//
// Each core multiplies what it has transformed. Moving V and Y from one core's cache to another's would cost
// more than transforming a tile twice. The work is divided in two ways:
//
//   parts   of the tiles, each with its own copy of M; the copies are summed at the end. There are as many
//           parts as the memory for the copies allows: many for few channels, one for many. Their number
//           depends on the shape alone, because it decides the order of a sum.
//   groups  of output and of input channels, where there are more threads than parts. Each group transforms
//           its own channels; no sum depends on the groups.
//
// A part is processed in blocks of tiles whose V and Y stay in the cache until they have been added to M.

#include <omp.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/conv/winograd_plan.h"

namespace tdds::cpu::winograd {
namespace {

// Limits on the size of all copies of M together and on their number, which is enough for that many threads.
constexpr std::int64_t kCopiesBytes = 6 << 20, kMaxParts = 16;
// V and Y of a block take twice the size of M, which every block reads and writes, clamped to a share of the
// L2 cache (at least) and a share of the L3 cache (at most).
constexpr std::int64_t kMinBlockBytes = 512 << 10, kMaxBlockBytes = 16 << 20;
// The fewest channels of a group.
constexpr std::int64_t kMinGroup = 32;

class FilterPass final : public Conv2dPass {
 public:
  FilterPass(const Conv2dSpec& spec, const Kernels& kernels)
      : spec_(spec),
        kernels_(kernels),
        zeros_(round_up(std::max(spec.channels, spec.out_channels), kernels.width)),
        threads_(threads_of(spec)),
        columns_(round_up(spec.channels, kernels.width)),
        m_frequency_(odd_lines(spec.out_channels * columns_)),
        parts_(count_tiles(spec), 1, 1),
        out_groups_(spec.out_channels, 1, kernels.width),
        in_groups_(spec.channels, 1, kernels.width) {
    const std::int64_t tiles = count_tiles(spec), m_bytes = m_size() * sizeof(float);
    const std::int64_t tile_bytes =
        kFrequencies * (odd_lines(columns_) + odd_lines(round_up(spec.out_channels, kernels.width))) *
        sizeof(float);
    block_ = std::clamp(2 * m_bytes, kMinBlockBytes, kMaxBlockBytes) / tile_bytes;
    block_ = std::clamp(block_, std::int64_t{1}, tiles);
    const std::int64_t most_parts = std::min(kMaxParts, ceil_div(tiles, block_));
    parts_ = Cut(tiles, std::clamp(kCopiesBytes / m_bytes, std::int64_t{1}, most_parts), 1);
    cut_channels();
    v_row_ = odd_lines(round_up(in_groups_.size, kernels.width));
    y_row_ = odd_lines(round_up(out_groups_.size, kernels.width));
    v_frequency_ = odd_lines(block_ * v_row_);
    y_frequency_ = odd_lines(block_ * y_row_);
  }

  std::size_t workspace_bytes() const override {
    return (parts_.count * m_size() + threads_ * private_size()) * sizeof(float);
  }
  std::string name() const override { return "winograd"; }

  void run(const void* a, const void* b, void* out, bool, void* workspace) const override {
    const auto *x = static_cast<const float*>(a), *dy = static_cast<const float*>(b);
    auto* const m = static_cast<float*>(workspace);
    const std::int64_t groups = out_groups_.count * in_groups_.count;
#pragma omp parallel num_threads(threads_)
    {
      float* const v = m + parts_.count * m_size() + omp_get_thread_num() * private_size();
#pragma omp for schedule(dynamic)
      for (std::int64_t task = 0; task < parts_.count * groups; ++task) {
        const std::int64_t part = task / groups, group = task % groups;
        run_task({x, dy, v, v + kFrequencies * v_frequency_, m + part * m_size()}, parts_[part],
                 out_groups_[group / in_groups_.count], in_groups_[group % in_groups_.count]);
      }
#pragma omp for schedule(dynamic)
      for (std::int64_t k = 0; k < spec_.out_channels; ++k)
        kernels_.transform_filter_gradient({m + k * columns_, m_frequency_, columns_}, parts_.count, m_size(),
                                           k, spec_.channels, static_cast<float*>(out));
    }
  }

 private:
  struct Task {
    const float *x, *dy;
    float *v, *y, *m;
  };

  // Divides until every thread has work. Groups stay as square as possible, because a tile is transformed
  // once for each group of the other kind.
  void cut_channels() {
    std::int64_t out = 1, in = 1;
    while (threads_wait(parts_.count * out_groups_.count * in_groups_.count, threads_)) {
      const bool out_next = out_groups_.size >= in_groups_.size;
      const std::int64_t size = out_next ? out_groups_.size : in_groups_.size;
      if (size < 2 * kMinGroup) break;
      if (out_next)
        out_groups_ = Cut(spec_.out_channels, out *= 2, kernels_.width);
      else
        in_groups_ = Cut(spec_.channels, in *= 2, kernels_.width);
    }
  }

  void run_task(const Task& task, Range part, Range out, Range in) const {
    for (std::int64_t done = 0; done < part.count; done += block_) {
      const Range tiles{part.first + done, std::min(block_, part.count - done)};
      kernels_.transform_data({task.x, spec_.height, spec_.width, spec_.channels}, tiles, in, zeros_.data(),
                              {task.v, v_frequency_, v_row_});
      kernels_.transform_gradient({task.dy, spec_.height, spec_.width, spec_.out_channels}, tiles, out,
                                  zeros_.data(), {task.y, y_frequency_, y_row_});
      for (std::int64_t f = 0; f < kFrequencies; ++f)
        kernels_.multiply({.a = task.y + f * y_frequency_,
                           .a_row = 1,
                           .a_step = y_row_,
                           .b = task.v + f * v_frequency_,
                           .b_step = v_row_,
                           .c = task.m + f * m_frequency_ + out.first * columns_ + in.first,
                           .c_row = columns_,
                           .rows = out.count,
                           .columns = round_up(in.count, kernels_.width),
                           .steps = tiles.count,
                           .accumulate = done > 0});
    }
  }

  std::int64_t m_size() const {
    return kFrequencies * m_frequency_;
  }
  std::int64_t private_size() const {
    return kFrequencies * (v_frequency_ + y_frequency_);
  }

  Conv2dSpec spec_;
  const Kernels& kernels_;
  std::vector<float> zeros_;
  int threads_;
  std::int64_t columns_, m_frequency_;
  Cut parts_, out_groups_, in_groups_;
  std::int64_t block_ = 0, v_row_ = 0, y_row_ = 0, v_frequency_ = 0, y_frequency_ = 0;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_filter_pass(const Conv2dSpec& spec, const Kernels& kernels) {
  return std::make_unique<FilterPass>(spec, kernels);
}

}  // namespace tdds::cpu::winograd
