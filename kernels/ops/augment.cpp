#include "kernels/augment.h"

namespace tdds {

void fill_normalize_table(float* table, const float mean[3], const float std[3]) {
  for (int c = 0; c < 3; ++c)
    for (int u = 0; u < 256; ++u) table[c * 256 + u] = (static_cast<float>(u) / 255.0f - mean[c]) / std[c];
}

}  // namespace tdds
