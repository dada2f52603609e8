#pragma once

// What reports are made of: requests, and documents. What they count and group by is read alone
// where nothing else is shown; a list's rows have the rest.

#include <optional>
#include <string>

#include "base/strong_id.h"
#include "store/price.h"

namespace docmill {

struct BatchWords {
  std::string batch, task, tenant;
};

struct CountedAttempt : BatchWords {
  std::string kind, route, provider, model, model_returned, outcome, cost_basis, service_tier;
  std::int64_t opened_at_ms = 0;
  std::int64_t requests = 1;  // that it stands for: more in a provider's own count
  std::optional<std::int64_t> ceiling_pusd, cost_pusd, reported_pusd, total_ms;
  std::optional<Usage> usage;
  bool is_open = false;
};

struct AttemptRow : CountedAttempt {
  AttemptId id;
  JobId job;
  std::string item_key, provider_request_id;
  int number = 0;
  std::optional<std::int64_t> http_status;
  std::optional<PriceId> price;
};

// A document with the attempt that decided its row in a report.
struct CountedJob : BatchWords {
  std::string state;
  std::string provider, model, route;  // of its last attempt; empty: never sent
  std::int64_t at_ms = 0;              // when that was opened, or the document submitted
  bool fell_back = false;
  bool is_superseded = false;   // by another text of the same document
  bool is_reused = false;       // its result was paid for by another document
  std::int64_t saved_pusd = 0;  // and cost so much
};

struct JobRow : CountedJob {
  JobId id;
  std::string item_key, source, error_class, error_message;
  bool is_cut = false;  // its requests were made of its pieces, most of them
};

}  // namespace docmill
