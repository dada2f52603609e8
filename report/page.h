#pragma once

// The HTML report: one self-contained file that works offline and can be forwarded. What it shows
// comes in as values; numbers are printed here, charts are drawn in the reader's browser from the
// same numbers, which stand in the page as JSON.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "report/what_if.h"

namespace docmill {

// What a row of the page's table and its totals show; text is ready to print, every digit
// elsewhere.
struct PageFigures {
  std::int64_t documents = 0;
  std::int64_t done = 0;
  std::int64_t failed = 0;
  std::int64_t requests = 0;
  std::int64_t retries = 0;
  std::int64_t fallbacks = 0;
  double fallback_rate = 0;  // of documents that were sent
  std::int64_t input_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t cost_pusd = 0;
  std::int64_t possible_pusd = 0;  // on top of the cost
  std::int64_t unknown_requests = 0;
  std::int64_t unpriced_requests = 0;
  std::optional<std::int64_t> average_pusd;  // per done document
  std::optional<std::int64_t> p50_ms, p95_ms, p99_ms;
};

struct PageRow {
  std::string name;  // a model, or "none": never sent
  PageFigures figures;
};

struct DayCost {
  std::string day;  // "2026-11-26", UTC
  std::string model;
  std::int64_t cost_pusd = 0;
};

struct CostPoint {
  std::int64_t at_ms = 0;
  std::int64_t total_pusd = 0;  // measured until then
};

struct LatencyBar {
  std::int64_t from_ms = 0;
  std::int64_t until_ms = 0;  // exclusive
  std::int64_t answers = 0;
};

struct NamedCount {
  std::string name;
  std::int64_t count = 0;
};

struct DearDocument {
  std::string batch, id, model;
  std::int64_t requests = 0;
  std::int64_t input_tokens = 0, output_tokens = 0;
  std::int64_t cost_pusd = 0;
};

struct FailureKind {
  std::string error_class;
  std::int64_t documents = 0;
  std::vector<std::string> examples;  // "id: message", at most three
};

struct UsedPrice {
  std::string provider, model, since, source;  // since: ISO time
  std::string rates;  // "input 0.42, cached 0.042, cache write 0.42, output 0.42"
};

struct ReportPage {
  std::string title;    // "q3", or "3 batches"
  std::string covers;   // "23 Nov 09:44-09:56 UTC"
  std::string made_at;  // ISO time
  std::string version;
  std::string command;  // that makes this report again
  PageFigures totals;
  std::vector<PageRow> models;
  std::optional<std::int64_t> cap_pusd;  // of the batch, when the page is of one
  std::vector<DayCost> days;
  std::vector<CostPoint> cumulative;
  std::vector<LatencyBar> latencies;
  std::vector<NamedCount> errors;     // requests that were not answered, by class
  std::vector<NamedCount> fallbacks;  // "deepseek-v3.2 to gpt-4.1"
  std::vector<WhatIfLine> what_ifs;   // models alone
  std::vector<DearDocument> dearest;
  std::vector<FailureKind> failures;
  std::vector<UsedPrice> prices;
  Currency currency;  // of what is shown; the JSON is in USD
};

// The whole file. Every text is escaped: ids, messages and names come from documents and providers.
std::string report_page(const ReportPage& page);

}  // namespace docmill
