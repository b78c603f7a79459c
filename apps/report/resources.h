#pragma once
// The page's parts that are files of their own in this folder, carried inside the program.

#include <string_view>

namespace tdds::report {

std::string_view page_html();  // with @TITLE@, @STYLE@, @SPRITE@, @DATA@ and @SCRIPT@ where the others go
std::string_view page_css();
std::string_view charts_js();   // charts as SVG
std::string_view datamap_js();  // the data map, on a canvas
std::string_view report_js();   // fills the sections

}  // namespace tdds::report
