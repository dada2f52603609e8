#pragma once

// The files that pages are made of, as the build embedded them: report/page/ and Chart.js.

#include <string_view>

namespace docmill {

extern const std::string_view kPageHtml;  // a mustache template
extern const std::string_view kPageCss;
extern const std::string_view kPageJs;
extern const std::string_view kChartJs;
extern const std::string_view kBallotHtml;  // a mustache template
extern const std::string_view kBallotJs;

}  // namespace docmill
