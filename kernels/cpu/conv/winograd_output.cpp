// Winograd's forward pass and data gradient: M_f [tiles, out] = V_f [tiles, in] U_f [in, out], 36 times.
//
// Two schedules of the same arithmetic, with the same bits:
//
//   fused   for few channels. U is computed first. Then threads take blocks of tiles: V of the block and M of
//           one panel of output channels stay in the L2 cache through all 36 products and the output
//           transform, while U is streamed from the L3 cache.
//   grouped for many channels, where U exceeds the L3 cache. A thread takes a group of output channels, or
//           some of the tiles of a group where there are more threads than groups. It multiplies what it has
//           transformed itself: transforming a tile twice costs less than fetching it from another core's
//           cache. V and M of a span of the tiles stay in the L3 cache.

#include <omp.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/conv/winograd_plan.h"

namespace tdds::cpu::winograd {
namespace {

// The share of the L2 cache for V and M of a block.
constexpr std::int64_t kBlockBytes = 320 << 10;
// The share of the L3 cache for V and M of a span.
constexpr std::int64_t kSpanBytes = 16 << 20;
// The grouped schedule is used where U is larger.
constexpr std::int64_t kFusedFilterBytes = 4 << 20;

struct Call {
  const float *in, *w;
  float* out;
  bool accumulate;
};

class OutputPass : public Conv2dPass {
 public:
  OutputPass(const Conv2dSpec& spec, Direction direction, const Kernels& kernels)
      : spec_(spec),
        kernels_(kernels),
        forward_(direction == Direction::kForward),
        in_(forward_ ? spec.channels : spec.out_channels),
        out_(forward_ ? spec.out_channels : spec.channels),
        padded_in_(round_up(in_, kernels.width)),
        tiles_(count_tiles(spec)),
        threads_(threads_of(spec)),
        zeros_(padded_in_) {}

  std::string name() const override { return "winograd"; }

 protected:
  void transform_data(const Call& call, Range tiles, Spectrum<float> v) const {
    kernels_.transform_data({call.in, spec_.height, spec_.width, in_}, tiles, {0, in_}, zeros_.data(), v);
  }
  void transform_filters(const Call& call, std::int64_t first, std::int64_t count, Spectrum<float> u) const {
    const auto transform = forward_ ? kernels_.transform_filters : kernels_.transform_turned_filters;
    transform({call.w, spec_.out_channels, spec_.channels}, first, count, u);
  }
  // M = V U for `tiles` rows of V and M and `channels` columns of U and M.
  void multiply(Spectrum<const float> v, Spectrum<const float> u, Spectrum<float> m, std::int64_t tiles,
                std::int64_t channels) const {
    for (std::int64_t f = 0; f < kFrequencies; ++f)
      kernels_.multiply({.a = v.data + f * v.frequency_stride,
                         .a_row = v.row_stride,
                         .a_step = 1,
                         .b = u.data + f * u.frequency_stride,
                         .b_step = u.row_stride,
                         .c = m.data + f * m.frequency_stride,
                         .c_row = m.row_stride,
                         .rows = tiles,
                         .columns = round_up(channels, kernels_.width),
                         .steps = in_,
                         .accumulate = false});
  }
  void transform_output(const Call& call, Spectrum<const float> m, Range tiles, std::int64_t first,
                        std::int64_t count) const {
    kernels_.transform_output(m, tiles, first, count, {call.out, spec_.height, spec_.width, out_},
                              call.accumulate);
  }

  const Conv2dSpec spec_;
  const Kernels& kernels_;
  const bool forward_;
  const std::int64_t in_, out_, padded_in_, tiles_;
  const int threads_;

 private:
  const std::vector<float> zeros_;
};

class FusedPass final : public OutputPass {
 public:
  FusedPass(const Conv2dSpec& spec, Direction direction, const Kernels& kernels)
      : OutputPass(spec, direction, kernels), panel_(kernels.panel), panels_(ceil_div(out_, panel_)) {
    const std::int64_t tile_bytes = kFrequencies * (padded_in_ + panel_) * sizeof(float);
    block_ = std::min(std::max(kBlockBytes / tile_bytes / kRows, std::int64_t{2}) * kRows, tiles_);
    blocks_ = ceil_div(tiles_, block_);
    v_frequency_ = odd_lines(block_ * padded_in_);
    u_frequency_ = odd_lines(in_ * panel_);
    m_frequency_ = odd_lines(block_ * panel_);
  }

  std::size_t workspace_bytes() const override {
    return (panels_ * u_size() + threads_ * private_size()) * sizeof(float);
  }

  void run(const void* a, const void* b, void* out, bool accumulate, void* workspace) const override {
    const Call call{static_cast<const float*>(a), static_cast<const float*>(b), static_cast<float*>(out),
                    accumulate};
    auto* const u = static_cast<float*>(workspace);
#pragma omp parallel num_threads(threads_)
    {
#pragma omp for schedule(dynamic)
      for (std::int64_t panel = 0; panel < panels_; ++panel)
        transform_filters(call, panel * panel_, channels_of(panel),
                          {u + panel * u_size(), u_frequency_, panel_});
      float* const v = u + panels_ * u_size() + omp_get_thread_num() * private_size();
      float* const m = v + kFrequencies * v_frequency_;
#pragma omp for schedule(dynamic)
      for (std::int64_t block = 0; block < blocks_; ++block) {
        const Range tiles{block * block_, std::min(block_, tiles_ - block * block_)};
        transform_data(call, tiles, {v, v_frequency_, padded_in_});
        for (std::int64_t panel = 0; panel < panels_; ++panel) {
          multiply({v, v_frequency_, padded_in_}, {u + panel * u_size(), u_frequency_, panel_},
                   {m, m_frequency_, panel_}, tiles.count, channels_of(panel));
          transform_output(call, {m, m_frequency_, panel_}, tiles, panel * panel_, channels_of(panel));
        }
      }
    }
  }

 private:
  static constexpr std::int64_t kRows = 6;  // of the micro-kernel

  std::int64_t u_size() const {
    return kFrequencies * u_frequency_;
  }
  std::int64_t private_size() const {
    return kFrequencies * (v_frequency_ + m_frequency_);
  }
  std::int64_t channels_of(std::int64_t panel) const {
    return std::min(panel_, out_ - panel * panel_);
  }

  std::int64_t panel_, panels_, block_ = 0, blocks_ = 0;
  std::int64_t v_frequency_ = 0, u_frequency_ = 0, m_frequency_ = 0;
};

class GroupedPass final : public OutputPass {
 public:
  GroupedPass(const Conv2dSpec& spec, Direction direction, const Kernels& kernels)
      : OutputPass(spec, direction, kernels),
        tile_groups_(tiles_, 1, 1),
        unit_(std::max(kernels.panel, kPiece)),
        out_groups_(out_, 1, unit_) {
    cut();
    const std::int64_t columns = round_up(out_groups_.size, kernels.width);
    const std::int64_t tile_bytes = kFrequencies * (padded_in_ + columns) * sizeof(float);
    const std::int64_t spans = ceil_div(tile_groups_.size * tile_bytes, kSpanBytes);
    span_ = ceil_div(tile_groups_.size, spans);
    u_row_ = m_row_ = odd_lines(columns);
    v_row_ = odd_lines(padded_in_);
    v_frequency_ = odd_lines(span_ * v_row_);
    u_frequency_ = odd_lines(in_ * u_row_);
    m_frequency_ = odd_lines(span_ * m_row_);
  }

  std::size_t workspace_bytes() const override {
    return (out_groups_.count * u_size() + threads_ * private_size()) * sizeof(float);
  }

  void run(const void* a, const void* b, void* out, bool accumulate, void* workspace) const override {
    const Call call{static_cast<const float*>(a), static_cast<const float*>(b), static_cast<float*>(out),
                    accumulate};
    auto* const u = static_cast<float*>(workspace);
    const std::int64_t pieces = ceil_div(out_, kPiece), tile_groups = tile_groups_.count;
#pragma omp parallel num_threads(threads_)
    {
      // Static scheduling: a thread transforms the filters of the groups that it processes below.
#pragma omp for schedule(static)
      for (std::int64_t piece = 0; piece < pieces; ++piece) {
        const std::int64_t first = piece * kPiece, group = first / out_groups_.size;
        transform_filters(call, first, std::min(kPiece, out_ - first),
                          {u + group * u_size() + first % out_groups_.size, u_frequency_, u_row_});
      }
      float* const v = u + out_groups_.count * u_size() + omp_get_thread_num() * private_size();
#pragma omp for schedule(static)
      for (std::int64_t task = 0; task < out_groups_.count * tile_groups; ++task) {
        const std::int64_t group = task / tile_groups;
        run_task(call, tile_groups_[task % tile_groups], out_groups_[group], u + group * u_size(), v);
      }
    }
  }

 private:
  static constexpr std::int64_t kPiece = 16;  // filters transformed at a time; divides a group

  // Divides until every thread has work, each time where fewer transforms are repeated.
  void cut() {
    std::int64_t tile_groups = 1, out_groups = 1;
    while (threads_wait(tile_groups_.count * out_groups_.count, threads_)) {
      const bool can_cut_out = out_groups_.size > unit_, can_cut_tiles = tile_groups_.size > 1;
      if (can_cut_out && (!can_cut_tiles || tiles_ * out_groups <= out_ * tile_groups))
        out_groups_ = Cut(out_, out_groups *= 2, unit_);
      else if (can_cut_tiles)
        tile_groups_ = Cut(tiles_, tile_groups *= 2, 1);
      else
        break;
    }
  }

  void run_task(const Call& call, Range tiles, Range out, const float* u, float* v) const {
    float* const m = v + kFrequencies * v_frequency_;
    for (std::int64_t done = 0; done < tiles.count; done += span_) {
      const Range span{tiles.first + done, std::min(span_, tiles.count - done)};
      transform_data(call, span, {v, v_frequency_, v_row_});
      multiply({v, v_frequency_, v_row_}, {u, u_frequency_, u_row_}, {m, m_frequency_, m_row_}, span.count,
               out.count);
      transform_output(call, {m, m_frequency_, m_row_}, span, out.first, out.count);
    }
  }

  std::int64_t u_size() const {
    return kFrequencies * u_frequency_;
  }
  std::int64_t private_size() const {
    return kFrequencies * (v_frequency_ + m_frequency_);
  }

  Cut tile_groups_;
  std::int64_t unit_;  // output channels: a multiple of a panel and of a piece
  Cut out_groups_;
  std::int64_t span_ = 0, u_row_ = 0, v_row_ = 0, m_row_ = 0;
  std::int64_t v_frequency_ = 0, u_frequency_ = 0, m_frequency_ = 0;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_output_pass(const Conv2dSpec& spec, Direction direction,
                                             const Kernels& kernels) {
  const std::int64_t filter_bytes =
      kFrequencies * std::int64_t{spec.channels} * spec.out_channels * std::int64_t{sizeof(float)};
  if (filter_bytes <= kFusedFilterBytes) return std::make_unique<FusedPass>(spec, direction, kernels);
  return std::make_unique<GroupedPass>(spec, direction, kernels);
}

}  // namespace tdds::cpu::winograd
