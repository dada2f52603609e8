#pragma once

// What the same tokens would have cost on another model, and what that comes to in a month and a
// year at the same pace. A year has 365 days, a month is a twelfth of it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/cost_report.h"

namespace docmill {

struct WhatIfLine {
  std::string model;  // empty: as it was
  std::int64_t cost_pusd = 0;
  std::optional<std::int64_t> month_pusd;  // absent: the time covered is too short to tell a pace
  std::optional<std::int64_t> year_pusd;
};

// How fast costs come: `span_ms` from the first request to the last, or the range that was asked
// for; or so many documents a month.
struct CostPace {
  std::int64_t done = 0;
  std::int64_t span_ms = 0;
  ReportRange range;
  std::optional<std::int64_t> documents_per_month;
};

WhatIfLine what_if_line(const std::string& model, std::int64_t cost_pusd, const CostPace& pace);

// As it was first, then each WhatIf in its order.
std::vector<WhatIfLine> what_if_lines(const CostReport& report,
                                      std::optional<std::int64_t> documents_per_month);

}  // namespace docmill
