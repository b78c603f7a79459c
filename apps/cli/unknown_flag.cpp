#include "apps/cli/unknown_flag.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <string_view>

namespace tdds {
namespace {

// Levenshtein distance: how many letters to insert, delete or replace to turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string no_such_flag(const std::string& name, const std::vector<std::string>& known) {
  std::string nearest;
  std::size_t least = 1 + (name.size() + 2) / 3;
  for (const std::string& each : known) {
    // A prefix is probably an abbreviation, which Python's argparse accepts.
    const std::size_t distance = each.starts_with(name) ? 1 : edit_distance(name, each);
    if (distance < least) {
      least = distance;
      nearest = each;
    }
  }
  return fmt::format("there is no flag --{}: {}--help-all lists all flags", name,
                     nearest.empty() ? "" : fmt::format("did you mean --{}? ", nearest));
}

}  // namespace tdds
