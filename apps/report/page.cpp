#include "apps/report/page.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>

#include "apps/report/base64.h"
#include "apps/report/contact_sheets.h"
#include "apps/report/sections.h"
#include "apps/train/ground_truth.h"
#include "engine/io/json_text.h"
#include "kernels/runtime/check.h"

namespace tdds {

std::string_view page_file(std::string_view name);  // an embedded .html, .css or .js file of this folder

namespace report {
namespace {

using Json = nlohmann::ordered_json;

std::string escaped(const std::string& text) {
  std::string html;
  for (const char c : utf8_of(text)) {
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

// JSON for a script element. It must not contain `<`, because a class named `</script>` would end the
// element. Names of files and classes may hold any bytes.
std::string script_json(Json json) {
  const std::string text = json_text(std::move(json));
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

// The template with each @NAME@ replaced. `parts` are in the order of the template.
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

std::optional<DataMap> map_of(const ReportInput& input) {
  const DynamicsReader* store = input.source().store();
  if (!store || !store->has(DynamicsField::kLoss)) return {};
  return data_map(*store, store->epochs());
}

std::string sprite_css(const SpriteSheet& sprite) {
  return fmt::format(".thumb{{background-image:url(data:image/png;base64,{})}}",
                     base64_of<char>(std::span(sprite.png)));
}

}  // namespace

std::string report_page(const ReportInput& input, const ReportOptions& options) {
  const std::optional<DataMap> map = map_of(input);
  const DataMap* known = map ? &*map : nullptr;
  const std::vector<ContactSheet> sheets = choose_contact_sheets(input, known, options.images);
  const std::vector<std::int32_t> rows = rows_shown(sheets);
  const GroundTruth truth = input.truth() ? *input.truth() : GroundTruth{};

  Json data{{"facts", facts_json(input)},
            {"rate", options.subset_rate},
            {"scores", scores_json(input, options.subset_rate)},
            {"left_out", input.set().left_out},
            {"no_images", input.no_images()},
            {"method_correlations", method_correlations_json(input)},
            {"setting_correlations", setting_correlations_json(input)},
            {"map", known ? map_json(input, *known) : Json()},
            {"classes", classes_json(input)},
            {"found", found_json(input, truth.wrong_label)},
            {"found_corrupted", found_json(input, truth.corruption)},
            {"found_duplicates", found_json(input, near_duplicates(truth))},
            {"tiles", tiles_json(input, known, rows)},
            {"sheets", sheets_json(sheets, rows)},
            {"sweep", input.sweep() ? sweep_json(*input.sweep()) : Json()}};
  std::string sprite_style;
  if (input.data() && !rows.empty()) {
    const SpriteSheet sprite = make_sprite_sheet(input.data()->train, rows);
    sprite_style = sprite_css(sprite);
    data["sprite"] = {{"columns", sprite.columns},
                      {"rows", sprite.rows},
                      {"width", sprite.width},
                      {"height", sprite.height}};
  }
  return filled(page_file("page.html"),
                {{"@TITLE@", escaped("TDDS report: " + input.dataset_name())},
                 {"@STYLE@", std::string(page_file("page.css"))},
                 {"@SPRITE@", sprite_style},
                 {"@DATA@", script_json(std::move(data))},
                 {"@SCRIPT@", fmt::format("{}\n{}\n{}", page_file("charts.js"), page_file("datamap.js"),
                                          page_file("report.js"))}});
}

}  // namespace report
}  // namespace tdds
