#pragma once

// What reports are made of: requests, and documents.

#include <optional>
#include <string>

#include "base/strong_id.h"
#include "store/price.h"

namespace docmill {

// A ledger row with what reports group and count by.
struct AttemptRow {
  AttemptId id;
  JobId job;
  std::string batch, task, tenant, item_key;
  int number = 0;
  std::string kind, route, provider, model, model_returned, outcome, cost_basis,
      provider_request_id, service_tier;
  std::int64_t opened_at_ms = 0;
  std::int64_t requests = 1;  // that it stands for: more in a provider's own count
  std::optional<std::int64_t> http_status, ceiling_pusd, cost_pusd, reported_pusd, total_ms;
  std::optional<Usage> usage;
  std::optional<PriceId> price;
  bool is_open = false;
};

// A document with the attempt that decided its row in a report.
struct JobRow {
  JobId id;
  std::string batch, task, tenant, item_key, source, state, error_class, error_message;
  std::string provider, model, route;  // of its last attempt; empty: never sent
  std::int64_t at_ms = 0;              // when that was opened, or the document submitted
  bool fell_back = false;
  bool is_cut = false;          // its requests were made of its pieces, most of them
  bool is_reused = false;       // its result was paid for by another document
  std::int64_t saved_pusd = 0;  // and cost so much
  bool is_superseded = false;   // by another text of the same document
};

}  // namespace docmill
