#pragma once

// The ledger as the values of an HTML report, in one pass over its documents.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "report/cost_report.h"
#include "report/page.h"
#include "store/price_list.h"

namespace docmill {

struct PageWish {
  std::vector<std::string> batches;
  ReportRange range;
  std::vector<WhatIf> what_ifs;
  std::optional<std::int64_t> documents_per_month;
  std::optional<std::int64_t> cap_pusd;
  Currency currency;
  std::string command;
  std::int64_t now_ms = 0;
};

// Its numbers are those of a CostReport over the same.
ReportPage make_page(ReportSource& source, PriceList& prices, const PageWish& wish);

}  // namespace docmill
