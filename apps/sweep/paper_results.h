#pragma once
// Accuracies that the TDDS paper reports (Zhang et al., CVPR 2024, Table 1), to stand beside ours.

#include <optional>
#include <string_view>

namespace tdds {

struct Published {
  double mean;
  std::optional<double> deviation;  // over the paper's runs
  // Found in the paper's abstract, the authors' README or their public answers, or a difference of two such
  // figures; the others are quoted from memory of the table and may be wrong.
  bool confirmed;
};

// dataset: cifar10 or cifar100; method: a row of a sweep's table, or "all" (rate 0); rate: the pruned share.
// Nothing where the paper has nothing: it trained ResNet-18, at full width, for 200 epochs.
std::optional<Published> published_accuracy(std::string_view dataset, std::string_view arch,
                                            std::string_view method, double rate);

}  // namespace tdds
