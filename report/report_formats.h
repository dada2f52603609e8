#pragma once

// The shapes of a cost report. CSV and JSON carry every digit, in USD; the table rounds, and may
// show another currency. They are written as they are made, piece by piece.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"
#include "report/cost_report.h"

namespace docmill {

using Put = std::function<void(std::string_view)>;

struct ReportShow {
  std::vector<std::string> batches;  // that it is of, for the table's first line
  Currency currency;                 // of the table
  std::optional<std::int64_t> documents_per_month;
};

// Rows of more than kMostTableRows are counted, not shown.
void write_table(CostReport& report, const ReportShow& show, const Put& put);
// The rows, and no totals. With what-ifs, a column if_MODEL_usd of each at the end.
void write_csv(CostReport& report, const Put& put);
// {"rows":[...],"totals":{...},"what_if":[...]}
void write_json(CostReport& report, const ReportShow& show, const Put& put);

inline constexpr std::int64_t kMostTableRows = 10'000;

}  // namespace docmill
