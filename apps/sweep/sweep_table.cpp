#include "apps/sweep_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "apps/published.h"

namespace tdds {
namespace {

struct Statistics {
  std::size_t count = 0;
  double mean = 0;
  std::optional<double> deviation = {};  // of two or more
};

Statistics statistics(const std::vector<double>& values) {
  Statistics s{.count = values.size()};
  for (const double value : values) s.mean += value / static_cast<double>(values.size());
  if (values.size() < 2) return s;
  double squares = 0;
  for (const double value : values) squares += (value - s.mean) * (value - s.mean);
  s.deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return s;
}

std::string text_of(const Statistics& s) {
  if (s.count == 0) return "";
  return s.deviation ? fmt::format("{:.2f} ± {:.2f}", s.mean, *s.deviation) : fmt::format("{:.2f}", s.mean);
}

std::string cell(const Statistics& best, const Statistics& last) {
  return best.count == 0 ? "" : fmt::format("{} / {}", text_of(best), text_of(last));
}

// Of UTF-8 text: the bytes that start a character.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

using Cells = std::vector<std::vector<std::string>>;

// The first row is the heading, the first column the names.
std::string markdown(const Cells& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    text += "|";
    for (std::size_t c = 0; c < widths.size(); ++c)
      text += fmt::format(" {}{:{}} |", rows[r][c], "", widths[c] - width_of(rows[r][c]));
    text += "\n";
    if (r > 0) continue;
    text += "|";
    for (const std::size_t width : widths) text += fmt::format(" {:-<{}} |", "", width);
    text += "\n";
  }
  return text;
}

class Tables {
 public:
  explicit Tables(const SweepRecord& record) : r_(record) {
    for (const RunRecord& run : r_.runs) {
      add(methods_, run.method);
      add(rates_, run.rate);
    }
    std::sort(rates_.begin(), rates_.end());
  }

  std::string text() const {
    std::string text = heading() + "\n" + accuracies();
    for (const std::string& more :
         {published(),
          planted(r_.wrong_labels, "Planted wrong labels", "is wrongly labelled", "wrongly labelled"),
          planted(r_.corrupted, "Corrupted images", "is corrupted", "corrupted"),
          planted(r_.near_duplicates, "Near-duplicates", "is a near-duplicate of another",
                  "near-duplicates")})
      if (!more.empty()) text += "\n" + more;
    return text;
  }

  std::string csv() const {
    std::string text =
        "method,rate,kept,seeds,best_mean,best_std,last_mean,last_std,published,published_std,"
        "published_status\n";
    text += csv_line("all", 0, r_.samples, of_all(&ScoringRecord::best_accuracy),
                     of_all(&ScoringRecord::last_accuracy));
    for (const std::string& method : methods_)
      for (const double rate : rates_)
        text += csv_line(method, rate, kept(rate), of(method, rate, &RunRecord::best_accuracy),
                         of(method, rate, &RunRecord::last_accuracy));
    return text;
  }

 private:
  template <class T>
  static void add(std::vector<T>& values, const T& value) {
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }

  Statistics of(const std::string& method, double rate, double RunRecord::*accuracy) const {
    std::vector<double> values;
    for (const RunRecord& run : r_.runs)
      if (run.method == method && run.rate == rate) values.push_back(run.*accuracy);
    return statistics(values);
  }

  Statistics of_all(double ScoringRecord::*accuracy) const {
    std::vector<double> values;
    for (const ScoringRecord& run : r_.scoring_runs) values.push_back(run.*accuracy);
    return statistics(values);
  }

  std::int64_t kept(double rate) const {
    for (const RunRecord& run : r_.runs)
      if (run.rate == rate) return run.kept;
    return 0;
  }

  std::string heading() const {
    std::vector<std::uint64_t> seeds;
    for (const ScoringRecord& run : r_.scoring_runs) seeds.push_back(run.seed);
    return fmt::format(
        "{}: {} samples, {} of width {}, {} epochs, on subsets {}. Test accuracy in percent, of the best "
        "epoch / the last one: mean{} of the seeds {}.\n",
        r_.dataset, r_.samples, r_.arch, r_.width, r_.epochs,
        r_.budget == "epochs" ? "as many" : "as many optimizer steps",
        seeds.size() > 1 ? " ± standard deviation" : "", fmt::join(seeds, ", "));
  }

  std::vector<std::string> columns(bool with_kept) const {
    std::vector<std::string> names{"method"};
    for (const double rate : rates_)
      names.push_back(with_kept ? fmt::format("{:.4g} % pruned, {} kept", 100 * rate, kept(rate))
                                : fmt::format("{:.4g} % pruned", 100 * rate));
    return names;
  }

  std::string accuracies() const {
    const std::string all =
        cell(of_all(&ScoringRecord::best_accuracy), of_all(&ScoringRecord::last_accuracy));
    if (rates_.empty()) return markdown({{"method", "nothing pruned"}, {"all samples", all}});
    Cells rows{columns(true)};
    rows.push_back({"all samples"});
    rows.back().resize(rows[0].size(), all);
    for (const std::string& method : methods_) {
      rows.push_back({method});
      for (const double rate : rates_)
        rows.back().push_back(
            cell(of(method, rate, &RunRecord::best_accuracy), of(method, rate, &RunRecord::last_accuracy)));
    }
    return markdown(rows);
  }

  // Empty where the paper has nothing to compare with.
  std::string published() const {
    Cells rows{columns(false)};
    const auto add_row = [&](const std::string& title, const std::string& method) {
      std::vector<std::string> row{title};
      bool any = false;
      for (const double rate : rates_) {
        const auto figure = published_accuracy(r_.dataset, r_.arch, method, rate);
        any |= figure.has_value();
        row.push_back(!figure ? ""
                              : fmt::format("{} {}", text_of({1, figure->mean, figure->deviation}),
                                            figure->confirmed ? "(confirmed)" : "(recalled)"));
      }
      if (any) rows.push_back(row);
    };
    add_row("all samples", "all");
    for (const std::string& method : methods_) add_row(method, method);
    if (rows.size() == 1 || rates_.empty()) return "";
    return "Published for " + r_.dataset +
           " by Zhang et al. (CVPR 2024), ResNet-18 of width 1, 200 epochs, best epoch. Confirmed: found in "
           "the abstract, the README or the authors' answers; recalled: from memory of their Table 1, "
           "unchecked.\n\n" +
           markdown(rows);
  }

  static Statistics found(const std::vector<PlantedRecord>& records, const std::string& method,
                          const char* end, double PlantedRecord::*share) {
    std::vector<double> values;
    for (const PlantedRecord& each : records)
      if (each.method == method && each.end == end) values.push_back(100 * each.*share);
    return statistics(values);
  }

  // Empty where nothing was planted.
  std::string planted(const std::vector<PlantedRecord>& records, const char* title, const char* is,
                      const char* those) const {
    if (records.empty()) return "";
    const std::int64_t count = records[0].count;
    std::vector<std::string> methods;
    for (const PlantedRecord& each : records) add(methods, each.method);
    Cells rows{{"method", "lowest scores: precision", "recall", "highest scores: precision", "recall"}};
    for (const std::string& method : methods) {
      rows.push_back({method});
      for (const char* end : {"low", "high"})
        for (const auto share : {&PlantedRecord::precision, &PlantedRecord::recall})
          rows.back().push_back(text_of(found(records, method, end, share)));
    }
    return fmt::format(
               "{}: {} of {} samples, {:.1f} %. Among the {} samples with the lowest "
               "(pruned first) or highest scores, the percentage that {} (precision), and "
               "the percentage of the {} that is there (recall, the same where as many are "
               "looked at as were planted).\n\n",
               title, count, r_.samples, 100.0 * static_cast<double>(count) / static_cast<double>(r_.samples),
               count, is, those) +
           markdown(rows);
  }

  std::string csv_line(const std::string& method, double rate, std::int64_t kept_count,
                       const Statistics& best, const Statistics& last) const {
    const auto number = [](std::optional<double> value) {
      return value ? fmt::format("{}", *value) : std::string();
    };
    const auto mean = [&](const Statistics& s) { return s.count ? number(s.mean) : std::string(); };
    const auto figure = published_accuracy(r_.dataset, r_.arch, method, rate);
    return fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", method, rate, kept_count, best.count, mean(best),
                       number(best.deviation), mean(last), number(last.deviation),
                       figure ? number(figure->mean) : "", figure ? number(figure->deviation) : "",
                       !figure             ? ""
                       : figure->confirmed ? "confirmed"
                                           : "recalled");
  }

  const SweepRecord& r_;
  std::vector<std::string> methods_;
  std::vector<double> rates_;
};

}  // namespace

std::string sweep_markdown(const SweepRecord& record) {
  return Tables(record).text();
}

std::string sweep_csv(const SweepRecord& record) {
  return Tables(record).csv();
}

}  // namespace tdds
