#include "apps/report/page.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>

#include "apps/planted_truth.h"
#include "apps/report/base64.h"
#include "apps/report/resources.h"
#include "apps/report/sections.h"
#include "apps/report/sheets.h"
#include "kernels/check.h"

namespace tdds::report {
namespace {

using Json = nlohmann::ordered_json;

std::string escaped(const std::string& text) {
  std::string html;
  for (const char c : text) {
    if (c == '<')
      html += "&lt;";
    else if (c == '>')
      html += "&gt;";
    else if (c == '&')
      html += "&amp;";
    else
      html += c;
  }
  return html;
}

// JSON for a script element: no `<` may stand in it, or a class named `</script>` would end it. Names of files
// and classes may be any bytes; what is not UTF-8 is replaced.
std::string script_json(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

// The template with each @NAME@ replaced, in the order in which they stand in it.
std::string filled(std::string_view page, const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string result;
  std::size_t at = 0;
  for (const auto& [name, text] : parts) {
    const std::size_t place = page.find(name, at);
    check(place != std::string_view::npos, "the report's template lacks {}", name);
    result.append(page.substr(at, place - at)).append(text);
    at = place + name.size();
  }
  return result.append(page.substr(at));
}

std::optional<DataMap> map_of(const Subject& subject) {
  const DynamicsReader* store = subject.source().store();
  if (!store || !store->has(DynamicsField::kLoss)) return {};
  return data_map(*store, store->epochs());
}

std::string sprite_css(const Sprite& sprite) {
  return fmt::format(".thumb{{background-image:url(data:image/png;base64,{})}}",
                     base64_of<char>(std::span(sprite.png)));
}

}  // namespace

std::string report_page(const Subject& subject, const ReportOptions& options) {
  const std::optional<DataMap> map = map_of(subject);
  const DataMap* known = map ? &*map : nullptr;
  const std::vector<Sheet> sheets = choose_sheets(subject, known, options.images);
  const std::vector<std::int32_t> rows = rows_shown(sheets);
  const PlantedTruth truth = subject.truth() ? *subject.truth() : PlantedTruth{};

  Json data{{"facts", facts_json(subject)},
            {"rate", options.subset_rate},
            {"scores", scores_json(subject, options.subset_rate)},
            {"left_out", subject.set().left_out},
            {"no_images", subject.no_images()},
            {"method_correlations", method_correlations_json(subject)},
            {"setting_correlations", setting_correlations_json(subject)},
            {"map", known ? map_json(subject, *known) : Json()},
            {"classes", classes_json(subject)},
            {"found", found_json(subject, truth.wrong_label)},
            {"found_corrupted", found_json(subject, truth.corruption)},
            {"found_duplicates", found_json(subject, near_duplicates(truth))},
            {"tiles", tiles_json(subject, known, rows)},
            {"sheets", sheets_json(sheets, rows)},
            {"sweep", subject.sweep() ? sweep_json(*subject.sweep()) : Json()}};
  std::string sprite_style;
  if (subject.data() && !rows.empty()) {
    const Sprite sprite = make_sprite(subject.data()->train, rows);
    sprite_style = sprite_css(sprite);
    data["sprite"] = {{"columns", sprite.columns},
                      {"rows", sprite.rows},
                      {"width", sprite.width},
                      {"height", sprite.height}};
  }
  return filled(page_html(),
                {{"@TITLE@", escaped("TDDS report: " + subject.dataset_name())},
                 {"@STYLE@", std::string(page_css())},
                 {"@SPRITE@", sprite_style},
                 {"@DATA@", script_json(data)},
                 {"@SCRIPT@", fmt::format("{}\n{}\n{}", charts_js(), datamap_js(), report_js())}});
}

}  // namespace tdds::report
