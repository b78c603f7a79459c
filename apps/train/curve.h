#pragma once
// Curves over the epochs, drawn as SVG of 1200 x 500 units: panels side by side, each with its own axis.

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace tdds {

struct Curve {
  std::string name;
  std::vector<double> values;  // one per epoch; NaN leaves a gap in the line
};

struct Panel {
  std::string title;  // "loss"
  std::vector<Curve> curves;
};

// `epochs` are the positions on the common x axis. Curves longer than `epochs` are an error, shorter ones end
// early. The file is replaced atomically.
void draw_curves(const std::filesystem::path& path, const std::string& title, std::span<const double> epochs,
                 std::span<const Panel> panels);

}  // namespace tdds
