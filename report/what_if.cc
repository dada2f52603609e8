#include "report/what_if.h"

#include <cmath>
#include <limits>

namespace docmill {
namespace {

constexpr std::int64_t kYearMs = std::int64_t{365} * 24 * 3'600'000;
constexpr std::int64_t kShortestSpanMs = 60'000;

// By how much a cost is multiplied for a year. Nothing: there is no telling.
std::optional<long double> per_year(const CostPace& pace) {
  if (pace.documents_per_month) {
    if (pace.done == 0) return std::nullopt;
    return 12.0L * static_cast<long double>(*pace.documents_per_month) /
           static_cast<long double>(pace.done);
  }
  const ReportRange& range = pace.range;
  const bool is_asked = range.since_ms && range.until_ms;
  const std::int64_t span_ms = is_asked ? *range.until_ms - *range.since_ms : pace.span_ms;
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

WhatIfLine what_if_line(const std::string& model, std::int64_t cost_pusd, const CostPace& pace) {
  WhatIfLine line{model, cost_pusd, std::nullopt, std::nullopt};
  if (const auto factor = per_year(pace)) {
    line.year_pusd = times(cost_pusd, *factor);
    line.month_pusd = times(cost_pusd, *factor / 12);
  }
  return line;
}

std::vector<WhatIfLine> what_if_lines(const CostReport& report,
                                      std::optional<std::int64_t> documents_per_month) {
  const Figures& totals = report.totals();
  const auto& span = report.span();
  const CostPace pace{totals.done, span ? span->last_ms - span->first_ms : 0, report.wish().range,
                      documents_per_month};
  std::vector<WhatIfLine> lines = {what_if_line("", totals.cost_pusd, pace)};
  const std::vector<WhatIf>& models = report.wish().what_ifs;
  for (std::size_t i = 0; i < models.size(); ++i) {
    lines.push_back(what_if_line(models[i].model, totals.what_if_pusd[i], pace));
  }
  return lines;
}

}  // namespace docmill
