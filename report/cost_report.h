#pragma once

// The cost report: ledger rows into groups, groups into a table, CSV or JSON.
//
// A request counts in its own row, a document in the row of its last attempt ("none" when it was
// never sent). Measured, possible and unpriced are three things and are never added up.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/reader.h"

namespace docmill {

enum class GroupBy { batch, model, provider, route, task, tenant, day, week, month, job, attempt };

// Throws UsageError that names the known ones.
std::vector<GroupBy> parse_groups(const std::string& list);

struct Figures {
  std::int64_t jobs = 0;
  std::int64_t done = 0;
  std::int64_t failed = 0;
  std::int64_t requests = 0;
  std::int64_t retries = 0;
  std::int64_t fallbacks = 0;
  std::int64_t sent_jobs = 0;  // documents with at least one request
  std::int64_t fallen_back_jobs = 0;
  Usage tokens;
  std::int64_t cost_pusd = 0;
  std::int64_t possible_pusd = 0;
  std::int64_t unknown_requests = 0;
  std::int64_t unpriced_requests = 0;
  std::vector<std::int32_t> latencies_ms;  // of answered requests
  std::int64_t answered_output_tokens = 0;
};

struct ReportRow {
  std::vector<std::string> keys;  // as CostReport::key_columns names them
  Figures figures;
};

struct CostReport {
  std::vector<std::string> key_columns;
  std::vector<ReportRow> rows;
  Figures totals;
  std::vector<std::string> batches;
};

struct ReportRange {
  std::optional<std::int64_t> since_ms;  // of the attempt's opening
  std::optional<std::int64_t> until_ms;  // exclusive
};

CostReport make_report(StoreReader& reader, const std::vector<Batch>& batches,
                       const std::vector<GroupBy>& groups, const ReportRange& range);

std::string report_table(const CostReport& report);
std::string report_csv(const CostReport& report);   // the rows, every digit, no totals
std::string report_json(const CostReport& report);  // {"rows":[...],"totals":{...}}

}  // namespace docmill
