#include "report/what_if.h"

#include <cmath>
#include <limits>

namespace docmill {
namespace {

constexpr std::int64_t kYearMs = std::int64_t{365} * 24 * 3'600'000;
constexpr std::int64_t kShortestSpanMs = 60'000;

// By how much a cost of the report is multiplied for a year. Nothing: there is no telling.
std::optional<long double> per_year(const CostReport& report,
                                    std::optional<std::int64_t> documents_per_month) {
  if (documents_per_month) {
    if (report.totals().done == 0) return std::nullopt;
    return 12.0L * static_cast<long double>(*documents_per_month) /
           static_cast<long double>(report.totals().done);
  }
  const ReportRange& range = report.wish().range;
  std::int64_t span_ms = 0;
  if (range.since_ms && range.until_ms) {
    span_ms = *range.until_ms - *range.since_ms;
  } else if (report.span()) {
    span_ms = report.span()->last_ms - report.span()->first_ms;
  }
  if (span_ms < kShortestSpanMs) return std::nullopt;
  return static_cast<long double>(kYearMs) / static_cast<long double>(span_ms);
}

std::optional<std::int64_t> times(std::int64_t pusd, long double factor) {
  const long double product = static_cast<long double>(pusd) * factor;
  if (product > static_cast<long double>(std::numeric_limits<std::int64_t>::max() / 2)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(std::llround(product));
}

}  // namespace

std::vector<WhatIfLine> what_if_lines(const CostReport& report,
                                      std::optional<std::int64_t> documents_per_month) {
  const auto factor = per_year(report, documents_per_month);
  const auto line = [&](const std::string& model, std::int64_t cost_pusd) {
    WhatIfLine made{model, cost_pusd, std::nullopt, std::nullopt};
    if (factor) {
      made.year_pusd = times(cost_pusd, *factor);
      made.month_pusd = times(cost_pusd, *factor / 12);
    }
    return made;
  };
  std::vector<WhatIfLine> lines = {line("", report.totals().cost_pusd)};
  const std::vector<WhatIf>& models = report.wish().what_ifs;
  for (std::size_t i = 0; i < models.size(); ++i) {
    lines.push_back(line(models[i].model, report.totals().what_if_pusd[i]));
  }
  return lines;
}

}  // namespace docmill
