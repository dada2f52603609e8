#pragma once

// The ledger held against a provider's export: the gap between the two, and what it is made of.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "report/report_formats.h"
#include "report/usage_file.h"

namespace docmill {

// One model on both sides. The file's cost is what it says, or its tokens at our prices.
struct Reconciled {
  std::string model;  // without vendor and date, so that both sides meet
  std::int64_t ledger_requests = 0, file_requests = 0;
  Usage ledger_usage, file_usage;
  std::int64_t ledger_pusd = 0;
  std::int64_t file_pusd = 0;
  std::int64_t file_at_our_prices_pusd = 0;
  std::int64_t unknown_requests = 0;  // of the ledger: no outcome, no cost
  std::int64_t possible_pusd = 0;     // the most that they can have cost
  std::int64_t unpriced_requests = 0;
  std::int64_t gap_pusd() const { return file_pusd - ledger_pusd; }
  // The gap is the sum of the two.
  std::int64_t by_tokens_pusd() const { return file_at_our_prices_pusd - ledger_pusd; }
  std::int64_t by_price_pusd() const { return file_pusd - file_at_our_prices_pusd; }
};

struct Reconciliation {
  std::string file;
  std::int64_t from_ms = 0;  // the time that the file covers; 0 and 0: all of the ledger
  std::int64_t until_ms = 0;
  std::vector<Reconciled> models;
  Reconciled total;
};

// `name_of` gives what the provider calls the model of an attempt.
Reconciliation reconcile(ReportSource& ledger, const UsageFile& file,
                         const UsageSource::PriceOf& price,
                         const std::function<std::string(const AttemptRow&)>& name_of);

std::string reconciliation_text(const Reconciliation& made, const Currency& currency);
std::string reconciliation_csv(const Reconciliation& made);
std::string reconciliation_json(const Reconciliation& made);

}  // namespace docmill
