#include "apps/sweep/sweep_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "apps/sweep/paper_results.h"
#include "apps/train/train_options.h"
#include "tdds/statistics/report_statistics.h"

namespace tdds {
namespace {

std::string to_string(const Repetitions& s) {
  if (s.count == 0) return "";
  return s.count > 1 ? fmt::format("{:.2f} ± {:.2f}", s.mean, s.deviation) : fmt::format("{:.2f}", s.mean);
}

std::string cell(const Repetitions& best, const Repetitions& last) {
  return best.count == 0 ? "" : fmt::format("{} / {}", to_string(best), to_string(last));
}

// Characters of UTF-8 text: the bytes that start one.
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
    std::string text = heading() + warnings() + "\n" + accuracies();
    for (const std::string& more :
         {published(),
          planted(r_.wrong_labels, "Planted wrong labels", "is wrongly labelled", "wrongly labelled samples"),
          planted(r_.corrupted, "Corrupted images", "is corrupted", "corrupted samples"),
          planted(r_.near_duplicates, "Near-duplicates", "is a near-duplicate of another",
                  "near-duplicates")})
      if (!more.empty()) text += "\n" + more;
    return text;
  }

  std::string csv() const {
    std::string text =
        "method,rate,kept,seeds,best_mean,best_std,last_mean,last_std,published,published_kind,"
        "published_source,batch,steps\n";
    text += csv_line("all", 0, of_all(&ScoringRecord::best_accuracy), of_all(&ScoringRecord::last_accuracy));
    for (const std::string& method : methods_)
      for (const double rate : rates_)
        text += csv_line(method, rate, of(method, rate, &RunRecord::best_accuracy),
                         of(method, rate, &RunRecord::last_accuracy));
    return text;
  }

 private:
  template <class T>
  static void add(std::vector<T>& values, const T& value) {
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }

  Repetitions of(const std::string& method, double rate, double RunRecord::*accuracy) const {
    std::vector<double> values;
    for (const RunRecord& run : r_.runs)
      if (run.method == method && run.rate == rate) values.push_back(run.*accuracy);
    return repetitions(values);
  }

  Repetitions of_all(double ScoringRecord::*accuracy) const {
    std::vector<double> values;
    for (const ScoringRecord& run : r_.scoring_runs) values.push_back(run.*accuracy);
    return repetitions(values);
  }

  std::string steps(double rate) const {
    return fmt::format("{} steps of {}", r_.steps(rate), r_.batch(rate));
  }

  // Warnings about rates whose accuracies say little about the samples.
  std::string warnings() const {
    std::string text;
    for (const double rate : rates_)
      if (const std::string warning = few_steps_warning(r_.steps(rate)); !warning.empty())
        text += fmt::format("\n{:.4g} % pruned: {}.\n", 100 * rate, warning);
    return text;
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
      names.push_back(
          with_kept ? fmt::format("{:.4g} % pruned: {} kept, {}", 100 * rate, r_.kept(rate), steps(rate))
                    : fmt::format("{:.4g} % pruned", 100 * rate));
    return names;
  }

  std::string accuracies() const {
    const std::string all =
        cell(of_all(&ScoringRecord::best_accuracy), of_all(&ScoringRecord::last_accuracy));
    const std::string title = "all samples: " + steps(0);
    if (rates_.empty()) return markdown({{"method", "nothing pruned"}, {title, all}});
    Cells rows{columns(true)};
    rows.push_back({title});
    rows.back().resize(rows[0].size(), all);
    for (const std::string& method : methods_) {
      rows.push_back({method});
      for (const double rate : rates_)
        rows.back().push_back(
            cell(of(method, rate, &RunRecord::best_accuracy), of(method, rate, &RunRecord::last_accuracy)));
    }
    return markdown(rows);
  }

  // Empty if nothing was published to compare with.
  std::string published() const {
    Cells rows{columns(false)};
    std::vector<std::string> sources;
    const auto add_row = [&](const std::string& title, const std::string& method) {
      std::vector<std::string> row{title};
      bool any = false;
      for (const double rate : rates_) {
        const auto figure = published_accuracy(r_.dataset, r_.arch, method, rate);
        any |= figure.has_value();
        row.emplace_back();
        if (!figure) continue;
        const std::string source = fmt::format("{}, {}", figure->source, figure->kind);
        const auto at = std::find(sources.begin(), sources.end(), source) - sources.begin();
        if (at == std::ssize(sources)) sources.push_back(source);
        row.back() = fmt::format("{:.2f} [{}]", figure->accuracy, at + 1);
      }
      if (any) rows.push_back(row);
    };
    add_row("all samples", "all");
    for (const std::string& method : methods_) add_row(method, method);
    if (rows.size() == 1 || rates_.empty()) return "";
    std::string text = "Published for " + r_.dataset +
                       ", ResNet-18 of width 1, best epoch. A figure is stated by its source, derived from "
                       "figures that are, or read off a plot, to about 0.1:\n\n" +
                       markdown(rows) + "\n";
    for (std::size_t i = 0; i < sources.size(); ++i) text += fmt::format("{}. {}\n", i + 1, sources[i]);
    return text;
  }

  static Repetitions found(const std::vector<PlantedRecord>& records, const std::string& method,
                           const char* end, double PlantedRecord::*share) {
    std::vector<double> values;
    for (const PlantedRecord& each : records)
      if (each.method == method && each.end == end) values.push_back(100 * each.*share);
    return repetitions(values);
  }

  // Empty if nothing was planted.
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
          rows.back().push_back(to_string(found(records, method, end, share)));
    }
    return fmt::format(
               "{}: {} of {} samples, {:.1f} %. Among the {} samples with the lowest (pruned first) or "
               "highest scores, the percentage that {} (precision), and the percentage of all {} that are "
               "among them (recall, which is the same, because as many samples are counted as were "
               "planted).\n\n",
               title, count, r_.samples, 100.0 * static_cast<double>(count) / static_cast<double>(r_.samples),
               count, is, those) +
           markdown(rows);
  }

  std::string csv_line(const std::string& method, double rate, const Repetitions& best,
                       const Repetitions& last) const {
    const auto mean = [](const Repetitions& s) { return s.count > 0 ? fmt::format("{}", s.mean) : ""; };
    const auto deviation = [](const Repetitions& s) {
      return s.count > 1 ? fmt::format("{}", s.deviation) : "";
    };
    const auto figure = published_accuracy(r_.dataset, r_.arch, method, rate);
    return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{}\n", method, rate, r_.kept(rate), best.count,
                       mean(best), deviation(best), mean(last), deviation(last),
                       figure ? fmt::format("{}", figure->accuracy) : "", figure ? figure->kind : "",
                       figure ? figure->source : "", r_.batch(rate), r_.steps(rate));
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
