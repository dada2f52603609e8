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

// As it was first, then each WhatIf in its order. The pace is that of the time which the report
// covers, or `documents_per_month` where that is given.
std::vector<WhatIfLine> what_if_lines(const CostReport& report,
                                      std::optional<std::int64_t> documents_per_month);

}  // namespace docmill
