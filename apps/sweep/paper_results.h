#pragma once
// Published accuracies of ResNet-18, to compare with ours, each with its source and how it was found there.

#include <optional>
#include <string_view>

namespace tdds {

struct Published {
  double accuracy;  // percent
  // "stated" in the source's text, code or answers; "derived" from such figures; "read off" a plot, to about
  // 0.1.
  std::string_view kind;
  std::string_view source;  // without commas
};

// dataset: cifar10 or cifar100; method: a row of a sweep's table, or "all" (rate 0); rate: the pruned share.
// Empty if no source is known. All are of ResNet-18 at full width and, except for CCS's, 200 epochs.
std::optional<Published> published_accuracy(std::string_view dataset, std::string_view arch,
                                            std::string_view method, double rate);

}  // namespace tdds
