// Winograd's forward pass and data gradient: M_f [tiles, out] = V_f [tiles, in] U_f [in, out], 36 times.
//
// The work is cut into blocks of tiles and panels of output channels. One block times one panel: V of the
// block, U of the panel and M of both stay in the second-level cache for all 36 products and the output
// transform. In what order the blocks meet the panels depends on which operand is the larger:
//
//   few channels    all of U is made first; then threads take blocks, make V, and go through the panels
//   many channels   all of V is made first; then threads take panels, make U, and go through the blocks,
//                   so that the transformed filters (4 times the filters' bytes) never reach memory

#include <omp.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/winograd_plan.h"

namespace tdds::cpu::winograd {
namespace {

// Of the second-level cache, what V and M of one block may take.
constexpr std::int64_t kBlockBytes = 320 << 10;
// Of the third-level cache, what all of V may take.
constexpr std::int64_t kAllTilesBytes = 16 << 20;

class OutputPass final : public Conv2dPass {
 public:
  OutputPass(const Conv2dSpec& spec, Direction direction, const Kernels& kernels)
      : spec_(spec),
        forward_(direction == Direction::kForward),
        kernels_(kernels),
        in_(forward_ ? spec.channels : spec.out_channels),
        out_(forward_ ? spec.out_channels : spec.channels),
        zeros_(round_up_to(in_, kernels.width)),
        tiles_(count_tiles(spec)),
        threads_(omp_get_max_threads()),
        v_row_(round_up_to(in_, kernels.width)),
        panel_(kernels.panel) {
    const std::int64_t tile_bytes = kFrequencies * (v_row_ + panel_) * sizeof(float);
    tiles_first_ = tiles_ * kFrequencies * v_row_ * std::int64_t{sizeof(float)} <= kAllTilesBytes;
    block_ =
        tiles_first_ ? kTilesOfPanel : std::max(round_up_to(kBlockBytes / tile_bytes, 6) - 6, kLeastTiles);
    block_ = std::min(block_, tiles_);
    blocks_ = divide_up(tiles_, block_);
    panels_ = divide_up(out_, panel_);
    v_frequency_ = odd_lines(block_ * v_row_);
    u_frequency_ = odd_lines(in_ * panel_);
    m_frequency_ = odd_lines(block_ * panel_);
  }

  std::size_t workspace_bytes() const override {
    const std::int64_t shared = tiles_first_ ? blocks_ * v_size() : panels_ * u_size();
    return (shared + threads_ * private_size()) * sizeof(float);
  }
  std::string name() const override { return "winograd"; }

  void run(const void* a, const void* b, void* out, bool accumulate, void* workspace) const override {
    const Call call{static_cast<const float*>(a), static_cast<const float*>(b), static_cast<float*>(out),
                    accumulate};
    auto* const shared = static_cast<float*>(workspace);
    float* const privates = shared + (tiles_first_ ? blocks_ * v_size() : panels_ * u_size());
#pragma omp parallel num_threads(threads_)
    {
      float* const own = privates + omp_get_thread_num() * private_size();
      if (tiles_first_) {
#pragma omp for schedule(dynamic)
        for (std::int64_t block = 0; block < blocks_; ++block)
          transform_block(call, block, shared + block * v_size());
#pragma omp for schedule(dynamic)
        for (std::int64_t panel = 0; panel < panels_; ++panel) {
          transform_panel(call, panel, own);
          for (std::int64_t block = 0; block < blocks_; ++block)
            multiply(call, block, panel, shared + block * v_size(), own, own + u_size());
        }
      } else {
#pragma omp for schedule(dynamic)
        for (std::int64_t panel = 0; panel < panels_; ++panel)
          transform_panel(call, panel, shared + panel * u_size());
#pragma omp for schedule(dynamic)
        for (std::int64_t block = 0; block < blocks_; ++block) {
          transform_block(call, block, own);
          for (std::int64_t panel = 0; panel < panels_; ++panel)
            multiply(call, block, panel, own, shared + panel * u_size(), own + v_size());
        }
      }
    }
  }

 private:
  struct Call {
    const float *in, *w;
    float* out;
    bool accumulate;
  };
  static constexpr std::int64_t kTilesOfPanel = 48, kLeastTiles = 12;

  std::int64_t v_size() const {
    return kFrequencies * v_frequency_;
  }
  std::int64_t u_size() const {
    return kFrequencies * u_frequency_;
  }
  std::int64_t private_size() const {
    return (tiles_first_ ? u_size() : v_size()) + kFrequencies * m_frequency_;
  }
  TileRange tiles_of(std::int64_t block) const {
    return {block * block_, std::min(block_, tiles_ - block * block_)};
  }
  std::int64_t channels_of(std::int64_t panel) const {
    return std::min(panel_, out_ - panel * panel_);
  }

  void transform_block(const Call& call, std::int64_t block, float* v) const {
    kernels_.transform_data({call.in, spec_.height, spec_.width, in_}, tiles_of(block), zeros_.data(),
                            {v, v_frequency_, v_row_});
  }

  void transform_panel(const Call& call, std::int64_t panel, float* u) const {
    const auto transform = forward_ ? kernels_.transform_filters : kernels_.transform_turned_filters;
    transform({call.w, spec_.out_channels, spec_.channels}, panel * panel_, channels_of(panel),
              {u, u_frequency_, panel_});
  }

  void multiply(const Call& call, std::int64_t block, std::int64_t panel, const float* v, const float* u,
                float* m) const {
    const TileRange tiles = tiles_of(block);
    const std::int64_t channels = channels_of(panel);
    for (std::int64_t f = 0; f < kFrequencies; ++f)
      kernels_.multiply({.a = v + f * v_frequency_,
                         .a_row = v_row_,
                         .a_step = 1,
                         .b = u + f * u_frequency_,
                         .b_step = panel_,
                         .c = m + f * m_frequency_,
                         .c_row = panel_,
                         .rows = tiles.count,
                         .columns = round_up_to(channels, kernels_.width),
                         .steps = in_,
                         .accumulate = false});
    kernels_.transform_output({m, m_frequency_, panel_}, tiles, panel * panel_, channels,
                              {call.out, spec_.height, spec_.width, out_}, call.accumulate);
  }

  Conv2dSpec spec_;
  bool forward_;
  const Kernels& kernels_;
  std::int64_t in_, out_;
  std::vector<float> zeros_;
  std::int64_t tiles_;
  int threads_;
  std::int64_t v_row_, panel_;
  bool tiles_first_ = false;
  std::int64_t block_ = 0, blocks_ = 0, panels_ = 0;
  std::int64_t v_frequency_ = 0, u_frequency_ = 0, m_frequency_ = 0;
};

}  // namespace

std::unique_ptr<Conv2dPass> make_output_pass(const Conv2dSpec& spec, Direction direction,
                                             const Kernels& kernels) {
  return std::make_unique<OutputPass>(spec, direction, kernels);
}

}  // namespace tdds::cpu::winograd
