#include "kernels/ops/own_conv2d.h"

#include <algorithm>
#include <utility>

namespace tdds {
namespace {

class OwnConv2d final : public Conv2d {
 public:
  OwnConv2d(std::unique_ptr<Conv2d> other, const Conv3x3Kernels& kernels, const Conv3x3Tiles& tiles)
      : Conv2d(other->spec()),
        other_(std::move(other)),
        kernels_(kernels),
        shape_(conv3x3_shape(spec())),
        tiles_(tiles) {}

  std::size_t workspace_bytes() const override { return other_->workspace_bytes(); }
  std::size_t filter_workspace_bytes() const override { return other_->filter_workspace_bytes(); }

  void forward(Stream& stream, const void* x, const void* w, void* y, void* workspace) override {
    if (!tiles_.forward) return other_->forward(stream, x, w, y, workspace);
    kernels_.forward(stream, forward_args(x, w, y, {}));
  }
  void backward_data(Stream& stream, const void* dy, const void* w, void* dx, bool accumulate,
                     void* workspace) override {
    const std::optional<Conv3x3Tile>& tile = data_tile(accumulate);
    if (!tile) return other_->backward_data(stream, dy, w, dx, accumulate, workspace);
    kernels_.data(stream, data_args(*tile, dy, w, accumulate ? dx : nullptr, dx, {}));
  }
  void backward_filter(Stream& stream, const void* x, const void* dy, void* dw, void* workspace) override {
    other_->backward_filter(stream, x, dy, dw, workspace);
  }

  std::int64_t moment_rows() const override { return group_rows(tiles_.forward); }
  std::int64_t gradient_rows(bool accumulate) const override { return group_rows(data_tile(accumulate)); }
  void forward_with_moments(Stream& stream, const void* x, const void* w, void* y,
                            const BatchNormMemory& memory) override {
    if (!tiles_.forward) return Conv2d::forward_with_moments(stream, x, w, y, memory);
    kernels_.forward(stream, forward_args(x, w, y, memory));
  }
  void backward_data_to_norm(Stream& stream, const void* dy, const void* w, const void* add, void* g,
                             const BatchNormGradient& norm) override {
    const std::optional<Conv3x3Tile>& tile = data_tile(add != nullptr);
    if (!tile) return Conv2d::backward_data_to_norm(stream, dy, w, add, g, norm);
    kernels_.data(stream, data_args(*tile, dy, w, add, g, norm));
  }

  std::vector<ServedDirection> served() const override {
    std::vector<ServedDirection> served = other_->served();
    const auto own = [&](const char* direction, const std::optional<Conv3x3Tile>& tile) {
      if (!tile) return;
      const auto at = std::find_if(served.begin(), served.end(),
                                   [&](const ServedDirection& one) { return one.direction == direction; });
      if (at != served.end())
        at->by = to_string(*tile);
      else
        served.push_back({direction, to_string(*tile)});
    };
    own("forward", tiles_.forward);
    own("data", tiles_.data);
    if (tiles_.accumulate != tiles_.data) own("data+", tiles_.accumulate);
    return served;
  }

 private:
  const std::optional<Conv3x3Tile>& data_tile(bool accumulate) const {
    return accumulate ? tiles_.accumulate : tiles_.data;
  }
  std::int64_t group_rows(const std::optional<Conv3x3Tile>& tile) const {
    return tile ? conv3x3_group_rows(shape_, *tile) : 0;
  }
  Conv3x3ForwardArgs forward_args(const void* x, const void* w, void* y,
                                  const BatchNormMemory& moments) const {
    return {.x = x, .w = w, .y = y, .shape = shape_, .tile = *tiles_.forward, .moments = moments};
  }
  Conv3x3DataArgs data_args(Conv3x3Tile tile, const void* dy, const void* w, const void* add, void* dx,
                            const BatchNormGradient& norm) const {
    return {.dy = dy, .w = w, .add = add, .dx = dx, .shape = shape_, .tile = tile, .norm = norm};
  }

  std::unique_ptr<Conv2d> other_;
  Conv3x3Kernels kernels_;
  Conv3x3Shape shape_;
  Conv3x3Tiles tiles_;
};

}  // namespace

std::unique_ptr<Conv2d> with_own_kernels(std::unique_ptr<Conv2d> other, const Conv3x3Kernels& kernels,
                                         const Conv3x3Tiles& tiles) {
  if (!tiles.forward && !tiles.data && !tiles.accumulate) return other;
  return std::make_unique<OwnConv2d>(std::move(other), kernels, tiles);
}

}  // namespace tdds
